// SPDX-License-Identifier: GPL-3.0-or-later
import type { CollectionConfig } from 'payload'

export const Users: CollectionConfig = {
  slug: 'users',
  auth: true, // e-mail and password; who registers first may add the others
  admin: { useAsTitle: 'email' },
  fields: [],
}
