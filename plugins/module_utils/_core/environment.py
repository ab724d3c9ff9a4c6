# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment of a Next.js + Payload application: which keys, which values are right.

This is the only definition. Validation, the example file for people and the decision
what to write all come from it.
"""

from __future__ import annotations

import base64
import binascii
import os
import posixpath
import re
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Sequence
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from . import dotenv
from .errors import InvalidInput
from .text import counted

SECRET = "PAYLOAD_SECRET"  # noqa: S105  # the name of the key
SECRET_MIN_CHARACTERS = 32
ACTIONS_KEY = "NEXT_SERVER_ACTIONS_ENCRYPTION_KEY"
ACTIONS_KEY_BYTES = 32
LONGEST = 32 * 4096 - 1
"""Bytes that a name, = and a value may have together, without the NUL at the end (MAX_ARG_STRLEN, see execve(2))."""
MOST = 2_000_000
"""Bytes of all of them; the kernel takes a quarter of the stack's limit, which is 8 MiB, and needs some itself."""

_ANEW = "give another one, or leave it out of the inventory and the env file to have one generated"
_PLACEHOLDER = re.compile(
    r"change.?me|replace.?(me|this|with)|your.?(payload.?)?secret|example|placeholder|"
    r"generate|insert.?here|secret.?here|(.)\3{15,}",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Context:
    """What a value is judged against: the mount point of the data volume."""

    data_mount: str


@dataclass(frozen=True)
class Key:
    """One environment variable that the collection knows."""

    name: str
    about: str
    sample: str
    required: bool = False
    wrong: Optional[Callable[[str, Context], Optional[str]]] = None


def database_path(uri: str, mount: str) -> str:
    """Return the path below a mount of the file that a URI names; empty when it names none there."""
    path, below = _path(uri) or "", mount.rstrip("/") + "/"
    return path[len(below) :] if path.startswith(below) else ""


def database_in(container: Mapping[str, Any], volume: str) -> str:
    """Return the path in a volume of the database that a container is told to use; empty when it is elsewhere.

    Args:
        container: what the engine knows about it.
    """
    values = dict(pair.partition("=")[::2] for pair in (container.get("Config") or {}).get("Env") or ())
    uri = values.get("DATABASE_URI", "")
    mounts = [mount["Destination"] for mount in container.get("Mounts") or () if mount.get("Name") == volume]
    return next(filter(None, (database_path(uri, mount) for mount in mounts)), "")


def _path(uri: str) -> Optional[str]:
    """Return the path in a URI, as SQLite reads it; None when there is none, since it names a host or a server."""
    if not uri.startswith("file:"):
        return None
    path = unquote(uri[len("file:") :].split("?", 1)[0])
    if path.startswith("//"):
        host, slash, path = path[2:].partition("/")
        if host not in ("", "localhost"):
            return None
        path = slash + path
    return posixpath.normpath(path) if path else ""


def _is_utf8(name: bytes) -> bool:
    """Return whether bytes can be the name of a file in UTF-8."""
    try:
        return "\0" not in name.decode()
    except UnicodeDecodeError:
        return False


def _database_uri(value: str, context: Context) -> Optional[str]:
    if not value.startswith("file:"):
        # Not urlsplit: it refuses some passwords, with a message that holds them.
        scheme, separator, _unused = value.partition("://")
        if separator and scheme.lower() in ("postgres", "postgresql", "libsql", "https", "mongodb", "mongodb+srv"):
            return None
        return "must start with file: and name a file in the data volume, or be the URL of a database server"
    # As libsql reads it: https://github.com/tursodatabase/libsql-client-ts/blob/main/packages/libsql-core/src/uri.ts
    if "?" in value or "#" in value:
        return "has a ? or #, which libsql refuses for a file; leave out what follows, or write %3F or %23 for a name"
    if re.search("%(?![0-9a-fA-F]{2})", value):
        return "has a % that does not begin an escape such as %20; write %25 for a percent sign"
    if not _is_utf8(unquote_to_bytes(os.fsencode(value))):
        return "has escapes such as %ff that are not valid UTF-8, which libsql refuses; write the name as it is"
    if _path(value) is None:
        return "names a host with its two slashes; begin it with file:/ or file:///"
    if database_path(value, context.data_mount):
        return None
    mount = context.data_mount.rstrip("/") + "/"
    return f"must name a file below {mount} (for example file:{mount}payload.db), or it is lost with the container"


def _secret(value: str, context: Context) -> Optional[str]:
    if len(value) < SECRET_MIN_CHARACTERS:
        return f"has {counted(len(value), 'character')} and must have at least {SECRET_MIN_CHARACTERS}; {_ANEW}"
    if _PLACEHOLDER.search(value):
        return "is a placeholder from an example; " + _ANEW
    return None


def actions_key(random: Callable[[int], bytes]) -> str:
    """Return a new key of Server Actions, made of as many random bytes as are asked for."""
    return base64.b64encode(random(ACTIONS_KEY_BYTES)).decode()


def wrong_key(value: str) -> Optional[str]:
    """Return why a value is no key of Server Actions, as the end of a sentence; None when it is one."""
    try:
        length = len(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        length = 0
    right = length in (16, 24, ACTIONS_KEY_BYTES)
    return None if right else "must be base64 of 16, 24 or 32 bytes, as openssl rand -base64 32 makes it"


def http_url(value: Any) -> bool:
    """Return whether a value is the address of a web site."""
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        right = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return right and not re.search(r"\s", value)


def _http_url(value: str, context: Context) -> Optional[str]:
    return None if http_url(value) else "must be an http:// or https:// address with a host name"


def _unprivileged_id(value: str, context: Context) -> Optional[str]:
    if not re.match(r"[0-9]+\Z", value):
        return "must be a whole number"
    if len(value) > 10 or not 1 <= int(value) <= 2**32 - 2:
        return "must be between 1 and 4294967294; 0 is root, and the application never runs as root"
    return None


def _port(value: str, context: Context) -> Optional[str]:
    right = re.match(r"[0-9]{1,5}\Z", value) and 1 <= int(value) <= 65535
    return None if right else "must be a port number between 1 and 65535"


KEYS = (
    Key(
        "DATABASE_URI",
        "Where the SQLite database is, inside the data volume.",
        "file:///data/payload.db",
        True,
        _database_uri,
    ),
    Key(
        SECRET,
        "Signs logins and tokens. 64 hexadecimal digits; generated on the first deploy when left out.",
        "",
        True,
        _secret,
    ),
    Key(
        "NEXT_PUBLIC_SERVER_URL",
        "The public address of the site, as visitors type it.",
        "https://www.example.com",
        True,
        _http_url,
    ),
    Key("PUID", "The user id that the application runs as and that owns its files.", "1000", True, _unprivileged_id),
    Key("PGID", "The group id that the application runs as.", "1000", True, _unprivileged_id),
    Key("PAYLOAD_CONFIG_PATH", "The Payload configuration, relative to the application.", "/app/payload.config.ts"),
    Key("NODE_ENV", "Always production on a server.", "production"),
    Key("PORT", "The port that the application listens on inside the container.", "3000", False, _port),
    Key("NEXT_TELEMETRY_DISABLED", "1 keeps Next.js from reporting to its makers.", "1"),
    Key(
        ACTIONS_KEY,
        "Optional: the key of Server Actions, the same on all hosts. When left out, builds use one that is made once.",
        "",
        False,
        lambda value, _context: wrong_key(value),
    ),
    Key("SENDGRID_API_KEY", "Optional: the key for sending mail through SendGrid.", ""),
    Key("EMAIL_FROM", "Optional: the sender of mails.", "site@example.com"),
)


def problems(values: Mapping[str, str], data_mount: str) -> list[str]:
    """Return one sentence per wrong key, all of them at once; values are never quoted."""
    context = Context(data_mount)
    found = [f"{name!r} is not a name of an environment variable" for name in values if not dotenv.KEY.match(name)]
    found += [f"{name} holds a NUL character" for name, value in values.items() if "\0" in value]
    sizes = {name: len(os.fsencode(f"{name}={value}")) for name, value in values.items()}
    found += [
        f"{name} has {size - len(name) - 1} bytes, and the kernel takes at most {LONGEST} with its name; "
        "give the application a file instead"
        for name, size in sizes.items()
        if size > LONGEST
    ]
    if sum(sizes.values()) > MOST:
        found.append(f"all values together have {sum(sizes.values())} bytes, and at most {MOST} can be carried")
    for key in KEYS:
        value = values.get(key.name, "")
        if not value:
            if key.required:
                found.append(f"{key.name} is missing")
        elif key.wrong:
            reason = key.wrong(value, context)
            if reason:
                found.append(f"{key.name} {reason}")
    return found


def foreseen(sources: Mapping[str, Any], variables: Mapping[str, Any], refused: Sequence[str]) -> list[str]:
    """Return what is wrong with the environment that role variables make, as far as it can be known without the host.

    A secret that is not given is found or generated there.

    Args:
        sources: the variables that hold the ``keys``, the ``extra`` ones that override them, and the data ``mount``.
        refused: sentences that begin with the name of a variable, and need no second one.
    """
    extra = variables[sources["extra"]] or {}
    values = {key: str(variables[name]) for key, name in sources["keys"].items()}
    reported = [
        key for key, name in sources["keys"].items() if any(sentence.startswith(f"{name} ") for sentence in refused)
    ]
    known = {*(key for key in reported if key not in extra), *(() if {**values, **extra}.get(SECRET) else (SECRET,))}
    found = problems({**values, **extra}, variables[sources["mount"]])
    return [problem for problem in found if problem.split(" ", 1)[0] not in known]


@dataclass(frozen=True)
class EnvironmentPlan:
    """The values to write and how they differ from what is there; no value is ever shown."""

    values: Mapping[str, str]
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    generated: tuple[str, ...]

    def shown(self, before: bool) -> str:
        """Return the file for a diff: every key, and instead of its value whether it differs."""
        hidden = "(previous value)" if before else "(new value)"
        touched = set(self.changed)
        skip = self.added if before else self.removed
        names = sorted({*self.values, *self.removed} - set(skip))
        only = set(self.removed if before else self.added)
        return "".join(f"{name}={hidden if name in touched | only else '(unchanged)'}\n" for name in names)


def plan(
    wanted: Mapping[str, str],
    current: Mapping[str, str],
    data_mount: str,
    new_secret: Callable[[], str],
    rotate: bool = False,
) -> EnvironmentPlan:
    """Decide what the env file shall hold.

    A secret that is not given is taken from the current file, or generated with
    ``new_secret`` when there is none, or when it is to be another one. Optional keys without a
    value are left out; an unknown key keeps its empty value, which is a value.

    Args:
        rotate: whether the secret has to be another one than in the current file.

    Raises:
        InvalidInput: one or more keys are wrong; the message names every one.
    """
    known = {key.name for key in KEYS}
    values = {name: value for name, value in wanted.items() if value or name not in known}
    generated = []
    if rotate and SECRET in current and values.get(SECRET) == current[SECRET]:
        raise InvalidInput(
            f"The inventory gives the {SECRET} that the application has already, so there is nothing to change it to. "
            "Put a new one there (openssl rand -hex 32), or leave it out to have one generated and kept on the host."
        )
    if SECRET not in values:
        kept = "" if rotate else current.get(SECRET, "")
        if not kept:
            generated.append(SECRET)
        values[SECRET] = kept or new_secret()
    wrong = problems(values, data_mount)
    if wrong:
        raise InvalidInput("The environment is invalid: " + "; ".join(wrong) + ".", problems=wrong)
    ordered = [key.name for key in KEYS if key.name in values]
    ordered += sorted(name for name in values if name not in known)
    return compared({name: values[name] for name in ordered}, current, generated)


def compared(values: Mapping[str, str], current: Mapping[str, str], generated: Sequence[str] = ()) -> EnvironmentPlan:
    """Return how values differ from those that are there."""
    return EnvironmentPlan(
        values=values,
        added=tuple(sorted(set(values) - set(current))),
        changed=tuple(sorted(name for name in values if name in current and current[name] != values[name])),
        removed=tuple(sorted(set(current) - set(values))),
        generated=tuple(generated),
    )


def example() -> str:
    """Return the env file that people read: every known key with its meaning, no secret."""
    lines = [
        "# What the application is configured with. Deploys write .env.production from the",
        "# inventory; this file only explains it.",
    ]
    for key in KEYS:
        lines += ["", f"# {key.about}{' (required)' if key.required else ''}", f"{key.name}={dotenv.quote(key.sample)}"]
    return "\n".join(lines) + "\n"
