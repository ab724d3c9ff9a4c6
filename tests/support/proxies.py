# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the examples of reverse proxies from the templates of the role reverse_proxy, so that there is one source.

Run it after a change there: ``python tests/support/proxies.py``. A unit test fails when it was forgotten.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

from jinja2 import Environment, FileSystemLoader, StrictUndefined

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "roles/reverse_proxy"
EXAMPLES = ROOT / "examples/proxy"
# The oldest Caddy that Debian and Ubuntu have.
OLDEST = (2, 6, 2)
CADDY = """\
# Caddy before the application. With a domain instead of :80 it gets and renews the certificate itself.
# Written by tests/support/proxies.py from roles/reverse_proxy/templates.
{
\tadmin off
}

"""  # as Caddy's own formatter has it
NGINX = """\
# Nginx before the application, as a file in /etc/nginx/conf.d. The name is looked up again and again, so that a new
# version at another address is found, and while there is none, requests wait for up to thirteen seconds
# instead of failing.
# Written by tests/support/proxies.py from roles/reverse_proxy/templates.

"""


def _is_version(value: tuple[int, ...], other: str, operator: str) -> bool:
    """Compare as Ansible's test of this name."""
    wanted = tuple(map(int, other.split(".")))
    return value >= wanted if operator == ">=" else value < wanted


def values() -> Mapping[str, Any]:
    """Return what the templates of a site are filled with."""
    return {
        "__reverse_proxy_addresses": ":80",
        "__reverse_proxy_names": "www.example.com",
        "__reverse_proxy_upstream": "ptnextjs-app:3000",
        "__reverse_proxy_flag": "on",
        "__reverse_proxy_upload_max": 50 << 20,
        "__reverse_proxy_version": OLDEST,
        "docker_vps_tls": "off",
        "docker_vps_hsts": False,
    }


def rendered(name: str) -> str:
    """Return a template of the role as an example has it."""
    templates = Environment(  # nothing of it is HTML
        loader=FileSystemLoader(ROLE / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    templates.tests["version"] = _is_version
    templates.filters["bool"] = bool
    return templates.get_template(name).render(values())


def written() -> Mapping[Path, str]:
    """Return the contents of all examples that have their source in the role, by file."""
    page = (ROLE / "files/maintenance.html").read_text(encoding="utf-8")
    return {
        EXAMPLES / "Caddyfile": CADDY + rendered("site.caddy.j2"),
        EXAMPLES / "nginx.conf": f"{NGINX}{rendered('nginx-http.j2')}\n{rendered('site.nginx.j2')}",
        EXAMPLES / "maintenance/index.html": page,
    }


if __name__ == "__main__":
    for file, text in written().items():
        file.write_text(text, encoding="utf-8")
