// SPDX-License-Identifier: GPL-3.0-or-later
import config from '@payload-config'
import { getPayload } from 'payload'

// Rendered for each request: there is no database while the image is built.
export const dynamic = 'force-dynamic'

export default async function Page() {
  const payload = await getPayload({ config })
  const [vendors, media] = await Promise.all([
    payload.find({ collection: 'vendors', sort: 'name' }),
    payload.find({ collection: 'media', sort: '-createdAt' }),
  ])

  return (
    <main>
      <h1>Vendors</h1>
      {vendors.docs.length === 0 && <p>There are none yet.</p>}
      <ul>
        {vendors.docs.map(({ id, name, website, description }) => (
          <li key={id}>
            <strong>{name}</strong> {website} {description}
          </li>
        ))}
      </ul>
      {media.docs.map(({ id, alt, url, sizes }) => (
        <img key={id} alt={alt} src={sizes?.thumbnail?.url ?? url ?? undefined} width={160} />
      ))}
      <p>
        <a href="/admin">Administration</a>
      </p>
    </main>
  )
}
