// SPDX-License-Identifier: GPL-3.0-or-later
import { withPayload } from '@payloadcms/next/withPayload'
import type { NextConfig } from 'next'

const nextConfig: NextConfig = {
  // The image holds .next/standalone only: the server and the packages it really needs.
  output: 'standalone',
  // Pages that are made anew stay in memory: the container's files may be read-only, and end with it.
  experimental: { isrFlushToDisk: false },
}

export default withPayload(nextConfig)
