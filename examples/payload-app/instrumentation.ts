// SPDX-License-Identifier: GPL-3.0-or-later

// Next.js runs this once, when the server starts.
export function register() {
  // On SIGTERM Next.js waits for open requests, and without end for a connection on which none
  // was sent yet (browsers open such ones in advance). Docker would kill it at last; go before.
  process.once('SIGTERM', () => {
    setTimeout(() => {
      console.error('Stopped with connections still open')
      process.exit(143)
    }, 5000).unref()
  })
}
