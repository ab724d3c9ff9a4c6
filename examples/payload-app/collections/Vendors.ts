// SPDX-License-Identifier: GPL-3.0-or-later
import type { CollectionConfig } from 'payload'

export const Vendors: CollectionConfig = {
  slug: 'vendors',
  admin: { useAsTitle: 'name' },
  access: { read: () => true }, // the rest is for logged-in users: Payload's default
  fields: [
    { name: 'name', type: 'text', required: true },
    { name: 'website', type: 'text' },
    { name: 'description', type: 'textarea' },
    // Every number has bounds: README.md says why.
    { name: 'founded', type: 'number', min: 0, max: 9999 },
    { name: 'links', type: 'array', fields: [{ name: 'url', type: 'text', required: true }] },
  ],
}
