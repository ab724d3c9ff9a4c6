import { Check } from '@notes/ui'

export default function Page() {
  return <Check value="a word" />
}
