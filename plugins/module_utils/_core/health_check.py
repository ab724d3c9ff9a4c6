# SPDX-License-Identifier: GPL-3.0-or-later
"""The health check of a container: our probe, which asks with what the image has, a command, or the image's own."""

from __future__ import annotations

import posixpath
from typing import Any, Mapping, Sequence, Union

PROBE, IMAGE = "probe", "image"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # of a container whose image has none
TOOLS = ("wget", "curl", "node", "python3", "bash")
"""What the probe can ask with; the first that an image has is taken."""

# A POSIX shell runs it with the address on 127.0.0.1 and a number of seconds. Where nothing answers there, ::1 and the
# container's own address are asked in the time that is left; an answer with an error (8 of wget, 22 of curl) ends it.
# Whether anything listens is looked up first, which is cheaper than starting Node.js or Python.
SCRIPT = r"""
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY NODE_OPTIONS
at=${1#*//*:} port=${1#*//*:}; port=${port%%/*}; hex=$(printf %04X "$port")
has() { command -v "$1" >/dev/null; }
left() { read -r now _ </proc/uptime; left=$((${end:=$((${now%.*} + $1))} - ${now%.*})); }
listens() {
  for file in /proc/net/tcp /proc/net/tcp6; do
    [ -r $file ] || return 0
    while read -r _ own _ state _; do [ "${own#*:}$state" != "${hex}0A" ] || return 0; done <$file
  done
  return 1
}
listens || { echo "nothing listens on port $port"; exit 1; }
read -r name </etc/hostname
for host in 127.0.0.1 '[::1]' "$name"; do
  left "$2"; [ $left -gt 0 ] || exit 1
  url=http://$host:$at
  if has wget; then wget -q -t 1 -T $left -O /dev/null "$url"
  elif has curl; then curl -qgsSfL -m $left -o /dev/null "$url"
  elif has node; then node -e 'const [, url, s] = process.argv
    fetch(url, {signal: AbortSignal.timeout(s * 1000)}).then((a) => { if (!a.ok) console.log(a.status)
    process.exit(a.ok ? 0 : 8) }, (e) => { console.log(String(e.cause ?? e)); process.exit(1) })' "$url" $left
  elif has python3; then python3 -ISc 'import sys, urllib.error as e, urllib.request as r
try: r.build_opener().open(sys.argv[1], timeout=int(sys.argv[2]))
except e.HTTPError as x: print(x); sys.exit(8)
except OSError as x: sys.exit(str(x))' "$url" $left
  elif has bash; then host=${host#[}; bash -c 'exec 3<>"/dev/tcp/$0/$1" || exit
    printf "GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n" "$2" "$0:$1" >&3; read -rt "$3" _ code _ <&3 || exit
    case $code in [23]??) ;; *) echo "$code"; exit 8 ;; esac' "${host%]}" $port "${at#*/}" $left
  else echo 'the image has no wget, curl, node, python3 or bash'; exit 127; fi
  case $? in 0) exit 0 ;; 8 | 22) exit 1 ;; esac
done
exit 1
""".strip()


def as_test(kind: str, command: Union[str, Sequence[str]], url: str, seconds: int) -> list[str]:
    """Return a health check's test as the engine and Compose have it, empty for that of the image.

    Args:
        kind: PROBE or IMAGE.
        command: what asks instead of either, as a list, or as a string for the container's shell; empty for none.
        url: what the probe asks for, an address on 127.0.0.1 with its port.
        seconds: within which the probe ends.
    """
    if command:
        return ["CMD-SHELL", command] if isinstance(command, str) else ["CMD", *command]
    return [] if kind == IMAGE else ["CMD", "sh", "-c", SCRIPT, "probe", url, str(seconds)]


def is_command(value: Any) -> bool:
    """Return whether a value is a command for ``as_test``, or none."""
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(part, str) for part in value))


def command_of(config: Mapping[str, Any]) -> list[str]:
    """Return the command of a container's health check, empty when there is none.

    Args:
        config: the container's ``Config``, as the engine has it.
    """
    kind, *arguments = (config.get("Healthcheck") or {}).get("Test") or [""]
    if kind == "CMD":
        return arguments
    return [*(config.get("Shell") or ("/bin/sh", "-c")), arguments[0]] if kind == "CMD-SHELL" else []


def needs_of(config: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the programs that a container's health check needs; of each group, one is enough."""
    command = command_of(config)
    return [*((name,) for name in command[:1]), *([TOOLS] if SCRIPT in command else [])]


def places_of(program: str, config: Mapping[str, Any]) -> list[str]:
    """Return the absolute paths at which a container may have a program."""
    if "/" in program:
        return [posixpath.join("/", config.get("WorkingDir") or "/", program)]
    environment = dict(pair.partition("=")[::2] for pair in config.get("Env") or ())
    return [posixpath.join("/", place, program) for place in environment.get("PATH", DEFAULT_PATH).split(":")]
