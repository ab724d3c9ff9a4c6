import { readFile } from 'node:fs/promises'

import { FILES } from '../../../notes'

export async function GET(_request: Request, { params }: { params: Promise<{ name: string }> }) {
  const { name } = await params
  try {
    return new Response(await readFile(`${FILES}/${name.replaceAll('/', '')}`))
  } catch {
    return new Response(null, { status: 404 })
  }
}
