# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of a reverse proxy as a tree of files: its own, and one for the site of each application."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence

from .errors import InvalidInput
from .remedies import setting
from .text import short

Tree = Mapping[str, str]
"""The texts of files by their paths below the directory of the configuration."""
MOUNTED = "/etc/reverse-proxy"
STATUS = "http://127.0.0.1:8078/"
"""What a proxy says in its own container: which configuration it runs."""
CERTIFICATE = "certificate"
OFF = "off"
_MARK = "# docker-vps: "


@dataclass(frozen=True)
class Kind:
    """A reverse proxy.

    Attributes:
        main: its file.
        suffix: how the files of sites end.
        validate: the command that reads a configuration as a start does, and serves nothing.
        reload: the command that has the running one read its configuration.
        status: what has it say which configuration it runs.
    """

    main: str
    suffix: str
    validate: Sequence[str]
    reload: Sequence[str]
    status: str


_CADDYFILE = ("--config", f"{MOUNTED}/Caddyfile", "--adapter", "caddyfile")
_NGINX = ("nginx", "-c", f"{MOUNTED}/nginx.conf")
KINDS: Mapping[str, Kind] = {
    "caddy": Kind(
        "Caddyfile",
        ".caddy",
        ("caddy", "validate", *_CADDYFILE),
        ("caddy", "reload", *_CADDYFILE),
        'http://127.0.0.1:8078 {{\n\tbind 127.0.0.1\n\trespond "{}"\n}}\n',
    ),
    "nginx": Kind(
        "nginx.conf",
        ".conf",
        (*_NGINX, "-t"),
        (*_NGINX, "-s", "reload"),
        'server {{\n    listen 127.0.0.1:8078;\n    access_log off;\n    return 200 "{}";\n}}\n',
    ),
}


@dataclass(frozen=True)
class Found:
    """A container that is there."""

    runs: bool
    networks: Sequence[str]


@dataclass(frozen=True)
class Site:
    """What an application has in the tree.

    Attributes:
        app: its name, which no other site has.
        domains: the names that visitors use.
        text: its part of the configuration.
        certificate: in PEM; empty when the proxy gets it.
        key: of the certificate, in PEM.
        authority: the certificate of a private ACME authority, in PEM; empty for others.
    """

    app: str
    domains: Sequence[str]
    text: str
    certificate: str = ""
    key: str = ""
    authority: str = ""

    def files(self, kind: Kind) -> dict[str, str]:
        """Return the files of the site."""
        mark = _MARK + json.dumps({"app": self.app, "domains": list(self.domains)})
        found = {site_path(self.app, kind): f"{mark}\n{self.text}"}
        given = zip(_credentials(self.app), (self.certificate, self.key, self.authority))
        return {**found, **{path: text.rstrip("\n") + "\n" for path, text in given if text}}


def site_path(app: str, kind: Kind) -> str:
    """Return where the site of an application is."""
    return f"sites/{app}{kind.suffix}"


def _credentials(app: str) -> tuple[str, str, str]:
    return f"certificates/{app}.pem", f"certificates/{app}.key", f"certificates/{app}.ca.pem"


def without(tree: Tree, app: str) -> dict[str, str]:
    """Return a tree without the site of an application, for whichever proxy it was."""
    gone = {*_credentials(app), *(site_path(app, kind) for kind in KINDS.values())}
    return {path: text for path, text in tree.items() if path not in gone}


def sites(tree: Tree) -> dict[str, list[str]]:
    """Return the domains of each site; of a file that somebody else has written none are known."""
    return {path: _domains(text) for path, text in sorted(tree.items()) if path.startswith("sites/")}


def _domains(text: str) -> list[str]:
    first = text.partition("\n")[0]
    try:
        found = json.loads(first[len(_MARK) :]) if first.startswith(_MARK) else {}
        return [str(name) for name in found.get("domains", ())]
    except (ValueError, AttributeError, TypeError):
        return []


def whole(kind: Kind, main: str, others: Tree, site: Optional[Site]) -> dict[str, str]:
    """Return a tree of the proxy's own file, the sites of others, and one more.

    Args:
        others: what is there without our site.

    Raises:
        InvalidInput: another site has one of its domains, or is one for another kind of proxy.
    """
    generated = {f"generation{each.suffix}" for each in KINDS.values()} | {each.main for each in KINDS.values()}
    kept = {path: text for path, text in others.items() if path not in generated}
    foreign = [path for path in sites(kept) if not path.endswith(kind.suffix)]
    if foreign:
        raise InvalidInput(
            f"{' and '.join(foreign)} are for another reverse proxy, and this one would not serve them. "
            f"Set {setting('reverse_proxy')} to the one that runs, or remove those sites first. Nothing was changed."
        )
    if site:
        _refuse_twice(kept, site)
    tree = {**kept, kind.main: main, **(site.files(kind) if site else {})}
    return {**tree, f"generation{kind.suffix}": kind.status.format(generation(tree))}


def _refuse_twice(others: Tree, site: Site) -> None:
    for path, domains in sites(others).items():
        shared = sorted({*domains} & {*site.domains})
        if shared:
            raise InvalidInput(
                f"{' and '.join(shared)} {'belongs' if len(shared) == 1 else 'belong'} to another site, {path}, and a "
                f"name has one site. Take it out of {setting('domains')} of one of the two. Nothing was changed."
            )


def generation(tree: Tree) -> str:
    """Return what a configuration is called: the digest of its files but the one that says so."""
    named = sorted((path, text) for path, text in tree.items() if not path.startswith("generation."))
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]


def foreseen(values: Mapping[str, Any]) -> list[str]:
    """Return one sentence per thing that cannot be right in the variables of an inventory.

    Args:
        values: the variables without their prefix; those that are wrong in themselves are left out.
    """
    if not is_served(values):
        return []
    proxy, tls = values["reverse_proxy"], values.get("tls", OFF)
    found = []
    if not values.get("domains", True):
        found.append(
            f"The reverse proxy needs a name for the site. Set {setting('domains')} or {setting('server_url')}."
        )
    if proxy == "nginx" and tls not in (CERTIFICATE, OFF):
        found.append(
            f"Nginx gets no certificates by itself. Set {setting('tls', CERTIFICATE)}, {setting('tls', OFF)} or "
            f"{setting('reverse_proxy', 'caddy')}."
        )
    if tls == CERTIFICATE and not (values.get("tls_certificate") and values.get("tls_key")):
        found.append(
            f"With {setting('tls', CERTIFICATE)} the certificate and its key have to be given. Set "
            f"{setting('tls_certificate')} and {setting('tls_key')}."
        )
    return found


def is_served(values: Mapping[str, Any]) -> bool:
    """Return whether the variables of an inventory ask for a reverse proxy with a site."""
    wanted = ("reverse_proxy", "none"), ("reverse_proxy_state", "present")
    proxy, state = [str(values.get(name, default)) for name, default in wanted]
    return proxy != "none" and state == "present"


def port_taken(port: int, protocol: str, holder: str) -> InvalidInput:
    """Return why a port of the host is not to be had."""
    return InvalidInput(
        f"Port {port}/{protocol} of this host is taken by {short(holder)}. Stop that, and keep it from starting again, "
        f"or let it be the reverse proxy: {setting('reverse_proxy', 'none')}. Nothing was changed."
    )
