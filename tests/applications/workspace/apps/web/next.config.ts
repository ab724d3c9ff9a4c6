import type { NextConfig } from 'next'

const config: NextConfig = { transpilePackages: ['@notes/ui'] }
export default config
