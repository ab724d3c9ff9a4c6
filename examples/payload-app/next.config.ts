// SPDX-License-Identifier: GPL-3.0-or-later
import { withPayload } from '@payloadcms/next/withPayload'
import type { NextConfig } from 'next'

const nextConfig: NextConfig = {
  // The image holds .next/standalone only: the server and the packages it really needs.
  output: 'standalone',
}

export default withPayload(nextConfig)
