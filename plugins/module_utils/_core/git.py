# SPDX-License-Identifier: GPL-3.0-or-later
"""What a version is on the remote, what git says when it refuses, and which key a repository is asked with.

Git's messages are those of LC_ALL=C; see https://git-scm.com/docs/git-ls-remote and ssh_config(5).
"""

from __future__ import annotations

import difflib
import re
import shlex
from typing import Mapping, Optional, Sequence

from .dockerfile import Kind
from .remedies import setting

ACCEPT_NEW = "accept-new"
"""What stands for host keys that are accepted when a host is met for the first time, and never when they change."""
ACCEPT_UNKEPT = "accept-unkept"
"""The same for a look that must leave nothing behind: a host that is met for the first time is not remembered."""

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT = re.compile(r"[0-9a-f]{7,63}")
_NOISE = re.compile(
    r"\s*$|@|(hint|[Ww]arning): |Cloning into |From |Submodule |IT IS POSSIBLE|Someone could|It is also possible|"
    r"Please make sure you have|and the repository exists|fatal: Could not read from remote"
)
_SHOWN = 3  # lines of git's output
_SIMILAR = 3  # names of branches and tags

NO_KEY = (
    f"The key cannot be used: {setting('git_key')} must be a private key as ssh-keygen writes it, without a passphrase."
)
NO_LFS = "Large files of this version are kept by Git LFS: install git-lfs on the host (apt-get install git-lfs)."
# What git and ssh say, why it is so, and what to do about it; the first that is found counts.
_CAUSES: Sequence[tuple[str, str]] = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|Offending .* key in",
        f"The server presents another host key than before. If that was announced, correct "
        f"{setting('git_known_hosts')} (or the host's known_hosts); otherwise somebody may be listening.",
    ),
    (
        r"Host key verification failed|host key is known for",
        "The server's host key is not known. Compare what ssh-keyscan shows with what the provider publishes, and put "
        f"those lines into {setting('git_known_hosts')}, or say accept-new there.",
    ),
    (
        r"Load key .*: |error in libcrypto|invalid format",
        NO_KEY,
    ),
    (
        r"Permission denied \(",
        f"The server refuses the key, or none was given: give {setting('git_key')}, and allow its public half there (a "
        "deploy key that may read is enough).",
    ),
    (
        r"could not read (Username|Password)|Authentication failed|HTTP Basic: Access denied|error: 40[13]|"
        r"Invalid username or (password|token)",
        f"The server requires a token, or refuses it: see {setting('git_token')}.",
    ),
    (
        r"transport '.*' not allowed",
        "Git takes no submodule from a path of the host: give it an address over HTTPS or SSH.",
    ),
    (
        r"[Rr]epository .*not found|does not appear to be a git repository|does not exist|error: 404",
        f"There is no such repository, or it is shown to nobody without access: check {setting('git_url')}, and "
        f"{setting('git_key')} or {setting('git_token')}.",
    ),
    (r"git-lfs.*not found", NO_LFS),
    (
        r"Could not resolve host|Name or service not known|Temporary failure in name resolution",
        f"The server's name is not known on the host: check {setting('git_url')} and the DNS.",
    ),
    (
        r"[Tt]imed out|did not end within|Connection refused|No route to host|unreachable|Failed to connect|"
        r"Couldn't connect|Operation too slow|Connection reset|Broken pipe|unexpectedly|early EOF|hung up|kex_exchange",
        f"The server does not answer, or the connection broke: check {setting('git_url')} and the network of the host.",
    ),
    (
        r"certificate|SSL|TLS",
        "The server's certificate is not trusted by the host: install the CA there (update-ca-certificates).",
    ),
    (r"No space left on device|Disk quota exceeded", "The disk of the host is full."),
    (
        r"dubious ownership|unsafe repository",
        "The directory belongs to another user than the play works as, and git runs what such a directory says: "
        "give it to that user with chown --recursive.",
    ),
    (
        r"untracked working tree files would be overwritten|would be removed by",
        "Files that no version knows are in the way: move them out of that directory.",
    ),
    (
        r"\.lock'?: File exists|Another git process",
        "Another git process is running in that directory: wait until it has ended.",
    ),
    (
        r"bad object|corrupt|is empty|unable to read (tree|sha1)|inflate|index file smaller|bad signature|bad config|"
        r"not a git repository|unable to parse",
        "The checkout is damaged, as after a power failure: remove that directory; the next deploy makes it again.",
    ),
    (
        r"not our ref|unadvertised object|remote ref|did not match any|not find remote|Needed a single revision|"
        r"unknown revision|not a tree",
        f"The repository has no such branch, tag or commit: check {setting('git_version')}, or that of the submodule.",
    ),
)


def refs_of(listed: str) -> Mapping[str, str]:
    """Read what ``git ls-remote`` writes: the commit of each name; of an annotated tag, what it points at."""
    lines = [line.partition("\t") for line in listed.splitlines()]
    commits = {name: commit for commit, _tab, name in lines if name}
    return {name: commits.get(f"{name}^{{}}", commit) for name, commit in commits.items() if not name.endswith("^{}")}


def resolved(version: str, refs: Mapping[str, str]) -> Optional[str]:
    """Return the commit that a version is on the remote: a branch, else a tag, else a full name (refs/pull/1/head).

    A commit, given by its whole name, is itself. None says that the remote does not name it.
    """
    for name in (f"refs/heads/{version}", f"refs/tags/{version}", f"refs/{version}", version):
        if name in refs:
            return refs[name]
    return version if is_commit(version) else None


def kind_of(answer: str) -> Kind:
    """Return what is at a path of a commit, by what git cat-file --batch-check --follow-symlinks answers of it."""
    first, *rest = answer.split(" ", 2)
    if first == "symlink":
        return Kind.OUTSIDE
    found = {"blob": Kind.FILE, "tree": Kind.DIRECTORY}
    return found.get(rest[0], Kind.NOTHING) if is_commit(first) and len(rest) == 2 else Kind.NOTHING


def is_commit(version: str) -> bool:
    """Return whether this is the whole name of a commit."""
    return bool(_COMMIT.fullmatch(version))


def may_be_short(version: str) -> bool:
    """Return whether this may be the beginning of a commit's name, which only those who have the commit can tell."""
    return bool(_SHORT.fullmatch(version))


def unknown(version: str, refs: Mapping[str, str]) -> str:
    """Return that a remote has no such version, with names of its own that look like it."""
    names = [re.sub("^refs/(heads|tags)/", "", name) for name in refs if name.startswith(("refs/heads/", "refs/tags/"))]
    close = difflib.get_close_matches(version, names, _SIMILAR) or sorted(names)[:_SIMILAR]
    more = " and others" if len(names) > len(close) else ""
    hint = f" It has {', '.join(close)}{more}." if names else " It is empty."
    return f"The repository has no branch, tag or commit {version}: check {setting('git_version')}.{hint}"


def why(stderr: str) -> str:
    """Return why git refused, as sentences: the cause with the next step, and git's own message, once."""
    cause = next((cause for pattern, cause in _CAUSES if re.search(pattern, stderr)), "")
    lines = dict.fromkeys(line.strip() for line in stderr.splitlines() if not _NOISE.match(line))
    shown = [line.rstrip(".") for line in list(lines)[:_SHOWN]]
    return f"{cause} Git said: {'; '.join(shown)}.".strip() if shown else cause or "Git said nothing."


def ssh(key: str, submodule_keys: Mapping[str, str], known_hosts: str) -> str:
    """Return the shell script that git calls as ssh.

    Args:
        key: the file of the private key; empty for what the host's own ssh has.
        submodule_keys: the files of others, by the paths of the repositories that are asked with them, as in acme/ui.
        known_hosts: the file of the host keys that count; ACCEPT_NEW; ACCEPT_UNKEPT; or empty for those that the host
            knows.
    """
    options = ["BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=15", "ServerAliveCountMax=4"]
    accepts = known_hosts in (ACCEPT_NEW, ACCEPT_UNKEPT)
    options.append(f"StrictHostKeyChecking={ACCEPT_NEW if accepts else 'yes'}")
    if known_hosts == ACCEPT_UNKEPT:
        # Ssh reads all of these files and writes to the first.
        options.append("UserKnownHostsFile=/dev/null ~/.ssh/known_hosts ~/.ssh/known_hosts2")
    elif known_hosts and not accepts:
        options += [f"UserKnownHostsFile={known_hosts}", "GlobalKnownHostsFile=/dev/null"]
    cases = []
    for path, file in submodule_keys.items():
        name = shlex.quote(re.sub(r"^/+|(\.git)?/*$", "", path))
        # The last arguments are as in: git-upload-pack '/acme/ui.git', or git-lfs-authenticate acme/ui.git download.
        cases.append(f"  *[\\ /\\']{name}[.\\ \\']* | *[\\ /\\']{name}) key={shlex.quote(file)} ;;")
    return "\n".join(
        [
            f"key={shlex.quote(key)}",
            'case "$*" in',
            *cases,
            "esac",
            f"""exec ssh -o {" -o ".join(map(shlex.quote, options))} ${{key:+-o IdentitiesOnly=yes -i "$key"}} "$@\"""",
            "",
        ]
    )


def same_repository(address: str, other: str) -> bool:
    """Return whether two addresses name one repository, whatever the protocol, the user and the port."""
    return _place_of(address) == _place_of(other)


def _place_of(url: str) -> tuple[str, str]:
    rest = re.sub(r"(\.git)?/*$", "", url)
    match = re.match(r"(?:\w+://)(?:[^@/]*@)?([^:/]*)(?::\d+)?/*(.*)", rest) or re.match(
        r"(?:[^@/]*@)?([^:/]+):/*(.*)", rest
    )
    return (match[1].lower(), match[2]) if match else ("", rest.lstrip("/"))


def host_of(url: str) -> str:
    """Return the part of an address over HTTP for which a token counts (https://git.example.com); else empty."""
    match = re.match(r"(https?://)(?:[^/@]*@)?([^/]+)", url)
    return "".join(match.groups()) if match else ""
