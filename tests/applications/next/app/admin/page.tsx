import { notes } from '../notes'

export const dynamic = 'force-dynamic'

export default async function Page() {
  return <p>{(await notes()).length} notes</p>
}
