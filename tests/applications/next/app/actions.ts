'use server'

import { revalidatePath } from 'next/cache'

import { keep } from './notes'

export async function add(form: FormData) {
  await keep(String(form.get('text')))
  revalidatePath('/about')
}
