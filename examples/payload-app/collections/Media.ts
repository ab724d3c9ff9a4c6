// SPDX-License-Identifier: GPL-3.0-or-later
import type { CollectionConfig } from 'payload'

export const Media: CollectionConfig = {
  slug: 'media',
  access: { read: () => true }, // the rest is for logged-in users: Payload's default
  upload: {
    staticDir: 'public/media', // the volume is mounted at /app/public/media
    // No SVG: it can carry scripts, and it would be served from this very origin.
    mimeTypes: ['image/avif', 'image/gif', 'image/jpeg', 'image/png', 'image/webp'],
    imageSizes: [{ name: 'thumbnail', width: 320 }],
    adminThumbnail: 'thumbnail',
  },
  fields: [{ name: 'alt', type: 'text', required: true }],
}
