// Written into the build, and anew while it runs.
export const revalidate = 3600

export default function Page() {
  return <p>Rendered at {new Date().toISOString()}</p>
}
