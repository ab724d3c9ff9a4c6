import { notes } from '../../notes'

export const dynamic = 'force-dynamic'

export async function GET() {
  try {
    return Response.json({ notes: (await notes()).length })
  } catch (error) {
    console.error(error)
    return Response.json({ error: 'the notes cannot be read' }, { status: 503 })
  }
}
