# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell blocks of the pages: which there are, which of them are run, and a shell that runs their commands.

make guides runs every block that begins with ```sh, unless the line before it is <!-- not run: REASON -->, which the
page does not show.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional

BLOCKS: Mapping[str, tuple[int, int]] = {
    "README.md": (5, 3),
    "docs/audit.md": (1, 1),
    "docs/awx.md": (2, 0),
    "docs/backup.md": (9, 8),
    "docs/deploy.md": (4, 3),
    "docs/doctor.md": (1, 1),
    "docs/firewall.md": (1, 1),
    "docs/lifecycle.md": (1, 1),
    "docs/maintenance.md": (1, 1),
    "docs/migration.md": (10, 0),
    "docs/oncall.md": (4, 4),
    "docs/proxies.md": (6, 2),
    "docs/quickstart.md": (6, 6),
    "docs/scaling.md": (1, 1),
    "docs/secrets.md": (1, 1),
    "docs/status.md": (1, 1),
    "docs/troubleshooting.md": (6, 5),
    "docs/update.md": (2, 2),
    "docs/vps.md": (5, 5),
    "docs/watch.md": (1, 1),
}
"""How many shell blocks each page has, and how many of them are run: neither a mistake in this file nor a mark on a
page may leave one out unnoticed."""
ON_THE_HOST = re.compile(r"(cd )?/(opt|var)/|(docker|grep|journalctl|nft|systemctl|tail|update-ca-certificates)\b")
"""What pages have people type on the host; all else is typed where Ansible is."""
_BLOCK = re.compile(r"(?ms)^(?: *<!-- not run: (?P<why_not>[^\n]+?) -->\n)?^ *```sh\n(?P<text>.*?)^ *```$")
_COMMAND = re.compile(r"(?m)^ *((?!#)\S(?:.*\\\n)*.*)$")
_YAML = re.compile(r"(?ms)^```yaml\n(.*?)^```$")
_END = "end of the command:"


@dataclass(frozen=True)
class Block:
    """A shell block, the line of its page before its first one, where it lies in the text, and why it is not run."""

    page: str
    line: int
    text: str
    why_not: str
    begin: int
    end: int

    @property
    def commands(self) -> list[str]:
        """Its commands as they stand, each with the lines in which it goes on."""
        return [command.rstrip() for command in _COMMAND.findall(self.text)]


def blocks(page: str, text: str) -> list[Block]:
    """Return the shell blocks of a page in their order."""
    return [
        Block(page, text[: one.start("text")].count("\n"), one["text"], one["why_not"] or "", one.start(), one.end())
        for one in _BLOCK.finditer(text)
    ]


def settings(text: str) -> list[str]:
    """Return the blocks of YAML in a part of a page."""
    return _YAML.findall(text)


def replaced(text: str, words: Mapping[str, str]) -> str:
    """Return a text with the examples of pages, as regular expressions, replaced by what there really is."""
    for example, real in words.items():
        text = re.sub(example, real.replace("\\", r"\\"), text)
    return text


class Shell:
    """A shell that is given one command after the other, and keeps its directory and environment in between."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @classmethod
    def start(cls, *command: str, cwd: Optional[Path] = None, env: Optional[Mapping[str, str]] = None) -> Shell:
        """Start the command of a shell."""
        pipe, out = subprocess.PIPE, subprocess.STDOUT
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=pipe, stdout=pipe, stderr=out, text=True, errors="replace"
        )
        return cls(process)

    def run(self, command: str, seconds: float = 1200) -> tuple[int, str]:
        """Return how a command ended, and what it printed; it has nothing to read."""
        given, printed = self._process.stdin, self._process.stdout
        assert given is not None
        assert printed is not None
        given.write(f"{{ {command}\n}} </dev/null\nprintf '\\n%s %s\\n' '{_END}' $?\n")
        given.flush()
        watch = threading.Timer(seconds, self._process.kill)
        watch.start()
        lines: list[str] = []
        try:
            for line in printed:
                if line.startswith(_END):
                    return int(line.split()[-1]), "".join(lines).removesuffix("\n")
                lines.append(line)
        finally:
            watch.cancel()
        raise AssertionError(f"the shell ended, or was ended after {seconds} s, in {command}\n{''.join(lines)}")

    def close(self) -> None:
        """End it."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # SSH waits for a host that is gone
            self._process.wait(5)
        self._process.kill()
        self._process.wait()


def follow(block: Block, here: Shell, host: Shell, words: Mapping[str, str], refusals: Mapping[str, str]) -> str:
    """Run the commands of a block, each of which has to succeed, and return what they printed.

    A command that begins as one of ``refusals`` has to be refused with the words there.
    """
    printed = []
    for command in block.commands:
        code, output = (host if ON_THE_HOST.match(command) else here).run(replaced(command, words))
        where = f"{block.page}:{block.line}: {command}"
        (refusal,) = [said for begins, said in refusals.items() if command.startswith(begins)] or [""]
        assert bool(code) == bool(refusal), f"{where}\nended with {code}:\n{output}"
        assert refusal in " ".join(output.split()), f"{where}\ndoes not say {refusal}:\n{output}"
        printed.append(output)
    return "\n".join(printed)
