// SPDX-License-Identifier: GPL-3.0-or-later
import type { ReactNode } from 'react'

export const metadata = { title: 'Vendors' }

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body style={{ fontFamily: 'system-ui, sans-serif', margin: '2rem auto', maxWidth: '48rem' }}>
        {children}
      </body>
    </html>
  )
}
