import { add } from './actions'
import { Greeting } from './greeting'
import { notes } from './notes'

export const dynamic = 'force-dynamic'

export default async function Page() {
  return (
    <main>
      <h1>First edition</h1>
      <Greeting />
      <ul>
        {(await notes()).map(({ id, text }) => (
          <li key={id}>{text}</li>
        ))}
      </ul>
      <form action={add}>
        <input name="text" required />
        <button>Add</button>
      </form>
    </main>
  )
}
