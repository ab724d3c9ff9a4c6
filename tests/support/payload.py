# SPDX-License-Identifier: GPL-3.0-or-later
"""The real application as its visitors and editors see it, and its database as it is in the volume."""

from __future__ import annotations

import json
import sqlite3
import struct
import zlib
from contextlib import closing
from pathlib import Path
from typing import Callable, NamedTuple, Optional, Sequence
from urllib.parse import urlsplit

from lab import App, Response, docker, request

ACTIONS_KEY = "c2VydmVyLWFjdGlvbnMtb2YtYWNjZXB0YW5jZS10ZXM="
"""With the same key, builds of the same sources are taken from the engine's cache."""
AGAIN = {
    "app/(frontend)/again/page.tsx": """\
export const revalidate = 1

export default function Page() {
  return <p>{`made at ${Date.now()}.`}</p>
}
""",
    "app/(frontend)/again/[name]/page.tsx": """\
export const revalidate = 3600
export const generateStaticParams = () => []

export default async function Page({ params }: { params: Promise<{ name: string }> }) {
  return <p>{`${(await params).name} made at ${Date.now()}.`}</p>
}
""",
    "app/api/again/route.ts": """\
import { revalidatePath } from 'next/cache'

export async function GET(request: Request) {
  revalidatePath(new URL(request.url).searchParams.get('path') ?? '/')
  return Response.json({})
}
""",
}
"""Pages that Next.js makes again after the build: one every second, others when first asked for or told to."""
PASSWORD = {"email": "admin@example.com", "password": "correct horse battery"}


def png(size: int, row: Callable[[int], bytes] = lambda size: b"\x20\x60\xc0" * (size // 3)) -> bytes:
    """Return a real picture: a square of one colour, or of other rows of so many bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row(3 * size) for _turn in range(size))
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PICTURE = png(64)


class Site:
    """The application through the reverse proxy."""

    def __init__(self, app: App, url: str, request: Callable[..., Response] = request) -> None:
        self.app, self.url, self.request, self.token, self.picture = app, url, request, "", ""

    @property
    def headers(self) -> dict[str, str]:
        """What tells the application who asks."""
        return {"Authorization": f"JWT {self.token}"} if self.token else {}

    def ask(self, path: str, data: object = None, method: Optional[str] = None) -> Response:
        """Ask with JSON."""
        headers = {"Content-Type": "application/json", **self.headers}
        return self.request(self.url + path, None if data is None else json.dumps(data).encode(), headers, method)

    def fill(self) -> None:
        """Register the administrator, and create a vendor and an uploaded picture."""
        self.token = self.ask("/api/users/first-register", PASSWORD).json["token"]
        assert self.ask("/api/vendors", {"name": "Example Ltd"}).status == 201
        self.picture = self.upload("square.png", PICTURE)

    def upload(self, name: str, picture: bytes) -> str:
        """Upload a picture as a PNG file, and return its path on the site."""
        parts = [
            b'--x\r\nContent-Disposition: form-data; name="_payload"\r\n\r\n{"alt": "a square"}\r\n',
            f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'.encode(),
            b"Content-Type: image/png\r\n\r\n" + picture + b"\r\n--x--\r\n",
        ]
        headers = {"Content-Type": "multipart/form-data; boundary=x", **self.headers}
        made = self.request(f"{self.url}/api/media", b"".join(parts), headers)
        assert made.status == 201, made.body
        return urlsplit(made.json["doc"]["url"]).path

    def vendors(self) -> list[str]:
        """Return the names of all vendors."""
        return [row["name"] for row in self.ask("/api/vendors?limit=0&depth=0").json["docs"]]


class Stored(NamedTuple):
    """What the database is made of, and which migrations made it so."""

    schema: Sequence[tuple[str, str]]
    migrations: Sequence[str]


def database_of(app: App) -> Path:
    """Return where the database is on the host."""
    return Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", f"{app.name}-db")) / "payload.db"


def stored(app: App) -> Stored:
    """Look into the database of a running application."""
    with closing(sqlite3.connect(f"file:{database_of(app)}?mode=ro", uri=True)) as database:
        schema = database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
        migrations = database.execute("SELECT name FROM payload_migrations ORDER BY id").fetchall()
    return Stored(schema, [name for (name,) in migrations])
