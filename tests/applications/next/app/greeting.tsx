'use client'

// Read in the browser, so its value is in what is built for that.
export function Greeting() {
  return <p>{process.env.NEXT_PUBLIC_GREETING}</p>
}
