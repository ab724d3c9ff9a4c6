// @ts-expect-error it has no types
import isNumber from 'is-number'

// Without the patch it is false.
export function Check({ value }: { value: string }) {
  return <p>{String(isNumber(value))}</p>
}
