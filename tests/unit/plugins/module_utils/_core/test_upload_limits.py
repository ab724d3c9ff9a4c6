# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of the limits of an application's uploads, and that nothing is told of what cannot be read."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.upload_limits import cautions_of

MIB = 1 << 20
FIFTEEN, SIXTEEN = '{"dependencies": {"next": "15.4.11"}}', '{"dependencies": {"next": "^16.0.1"}}'
MIDDLEWARE = {"package.json": FIFTEEN, "middleware.ts": "export function middleware() {}"}


def config(inside: str) -> str:
    return f"const nextConfig = {{ output: 'standalone', {inside} }}\nexport default withPayload(nextConfig)\n"


def limits(inside: str) -> dict[str, str]:
    text = f"export default buildConfig({{ upload: {{ limits: {{ {inside} }} }}, db: sqliteAdapter({{}}) }})"
    return {"src/payload.config.ts": text}


@pytest.mark.parametrize(
    ("files", "reader", "limit", "option"),
    [
        (MIDDLEWARE, "middleware.ts", "10 MiB", "middlewareClientMaxBodySize in next.config.js"),
        (
            {**MIDDLEWARE, "next.config.ts": config("experimental: { middlewareClientMaxBodySize: '20mb' }")},
            "middleware.ts",
            "20 MiB",
            "middlewareClientMaxBodySize in next.config.ts",
        ),
        (
            {**MIDDLEWARE, "next.config.mjs": config("experimental:{'middlewareClientMaxBodySize': 2 * 1_048_576,}")},
            "middleware.ts",
            "2 MiB",
            "middlewareClientMaxBodySize in next.config.mjs",
        ),
        (
            {**MIDDLEWARE, "next.config.js": config("images: { remotePatterns: [...[url].map(of)] } // experimental,")},
            "middleware.ts",
            "10 MiB",
            "middlewareClientMaxBodySize in next.config.js",
        ),
        ({"package.json": SIXTEEN, "src/proxy.ts": ""}, "src/proxy.ts", "10 MiB", "proxyClientMaxBodySize"),
    ],
)
def test_a_middleware_for_which_less_is_kept_than_comes(
    files: dict[str, str], reader: str, limit: str, option: str
) -> None:
    (caution,) = cautions_of(files.get, 50 * MIB)
    assert caution.startswith(f"Next.js passes on only the first {limit} of a request that {reader} matches,")
    assert "the reverse proxy lets 50 MiB through" in caution
    assert "Lower ⟦setting upload_max⟧ to that, or raise experimental." in caution
    assert option in caution


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"package.json": FIFTEEN},
        {"package.json": FIFTEEN, "proxy.ts": ""},
        {**MIDDLEWARE, "package.json": '{"dependencies": {"next": "14.2.3"}}'},
        {**MIDDLEWARE, "package.json": '{"dependencies": {"next": "catalog:"}}'},
        {**MIDDLEWARE, "next.config.ts": config("experimental: { middlewareClientMaxBodySize: '50mb' }")},
        {**MIDDLEWARE, "next.config.ts": config("experimental: { middlewareClientMaxBodySize: '1gb' }")},
        {**MIDDLEWARE, "next.config.ts": config("experimental: { middlewareClientMaxBodySize: limit }")},
        {**MIDDLEWARE, "next.config.ts": config("experimental: { middlewareClientMaxBodySize }")},
        {**MIDDLEWARE, "next.config.ts": config("a: { proxyClientMaxBodySize: 1 }, b: { proxyClientMaxBodySize: 2 }")},
        {**MIDDLEWARE, "next.config.ts": config("...shared")},
        {**MIDDLEWARE, "next.config.ts": config("experimental, images: {}")},
        {**MIDDLEWARE, "next.config.ts": config("experimental: shared")},
    ],
)
def test_nothing_is_said_of_one_that_is_high_enough_or_cannot_be_read(files: dict[str, str]) -> None:
    assert cautions_of(files.get, 50 * MIB) == ()


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        (
            "fileSize: 5_000_000",
            "has Payload cut files at 5 MiB, and the reverse proxy lets 50 MiB through, so larger files are stored "
            "incomplete. Lower ⟦setting upload_max⟧",
        ),
        (
            "files: 3, fileSize: 100 * 1024 * 1024, // bytes",
            "allows files of 100 MiB, and the reverse proxy refuses requests above 50 MiB. Raise ⟦setting upload_max⟧",
        ),
    ],
)
def test_payload_takes_less_or_more(inside: str, told: str) -> None:
    (caution,) = cautions_of(limits(f"{inside}\n").get, 50 * MIB)
    assert caution.startswith(f"src/payload.config.ts {told}")


@pytest.mark.parametrize(
    "inside",
    [
        "fileSize: 52428800",
        "fileSize: MAX",
        "fileSize: '5mb' + x",
        "files: 3",
        "fileSize: 1 } }, abortOnLimit: true, x: {{",
    ],
)
def test_nothing_is_said_when_payload_takes_the_same_or_what_cannot_be_read(inside: str) -> None:
    assert cautions_of(limits(inside).get, 50 * MIB) == ()


def test_nothing_is_said_without_a_proxy_of_ours() -> None:
    assert cautions_of({**MIDDLEWARE, **limits("fileSize: 1")}.get, 0) == ()
    assert len(cautions_of({**MIDDLEWARE, **limits("fileSize: 1")}.get, 50 * MIB)) == 2
