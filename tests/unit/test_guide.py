# SPDX-License-Identifier: GPL-3.0-or-later
"""What make guides takes from a page, and that it fails when a command of a page does."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.tests.support import guide

PAGE = """\
# A page

```sh
mkdir work && cd work    # a directory
echo begun \\
  >file

# a remark
cat file
```

```yaml
docker_vps_tls: "off"
```

<!-- not run: there is nobody to ask -->
```sh
exit 9
```

1. In a list:

   ```sh
   docker ps
   ```
"""


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[guide.Shell]:
    shell = guide.Shell.start("bash", "--noprofile", "--norc", cwd=tmp_path)
    yield shell
    shell.close()


def followed(text: str, shell: guide.Shell, host: guide.Shell, **refusals: str) -> str:
    (block,) = guide.blocks("page.md", f"```sh\n{text}\n```\n")
    return guide.follow(block, shell, host, {"203.0.113.9": "10.0.0.1"}, refusals)


def test_blocks_have_their_commands_as_they_stand() -> None:
    first, marked, listed = guide.blocks("page.md", PAGE)
    assert first.commands == ["mkdir work && cd work    # a directory", "echo begun \\\n  >file", "cat file"]
    assert (first.line, first.why_not) == (3, "")
    assert marked.why_not == "there is nobody to ask"
    assert (listed.commands, listed.why_not) == (["docker ps"], "")
    assert guide.settings(PAGE[first.end : marked.begin]) == ['docker_vps_tls: "off"\n']


@pytest.mark.parametrize("mark", ["<!-- not run -->", "<!-- not run: -->", "<!-- not run: a reason -->\n"])
def test_a_mark_without_a_reason_or_away_from_its_block_is_none(mark: str) -> None:
    assert [block.why_not for block in guide.blocks("page.md", f"{mark}\n```sh\ntrue\n```\n")] == [""]


def test_a_shell_keeps_its_directory_and_gives_nothing_to_read(shell: guide.Shell) -> None:
    (block, *_others) = guide.blocks("page.md", PAGE)
    assert guide.follow(block, shell, shell, {}, {}).strip() == "begun"
    assert shell.run("basename $PWD; cat") == (0, "work\n")


@pytest.mark.parametrize("broken", ["false", "no-such-command", "cd /nowhere", "true\nfalse\ntrue", "exit 1"])
def test_a_command_that_fails_fails_the_page(shell: guide.Shell, broken: str) -> None:
    with pytest.raises(AssertionError, match=r"page\.md:1: |the shell ended"):
        followed(broken, shell, shell)


def test_a_command_that_takes_too_long_is_ended(shell: guide.Shell) -> None:
    with pytest.raises(AssertionError, match=r"was ended after 0\.2 s, in exec sleep 60"):
        shell.run("exec sleep 60", 0.2)


def test_examples_are_replaced(shell: guide.Shell) -> None:
    assert followed("echo root@203.0.113.9", shell, shell).strip() == "root@10.0.0.1"


def test_what_is_to_be_refused_has_to_be_with_the_words_of_the_page(shell: guide.Shell) -> None:
    refused = followed("echo no such   host; false", shell, shell, echo="no such host")
    assert refused.strip() == "no such host"
    with pytest.raises(AssertionError, match="ended with 0"):
        followed("echo no such host", shell, shell, echo="no such host")
    with pytest.raises(AssertionError, match="does not say no such host"):
        followed("echo otherwise; false", shell, shell, echo="no such host")


@pytest.mark.parametrize(
    ("command", "there"),
    [
        ("/opt/ptnextjs/bin/docker-vps list", True),
        ("cd /opt/ptnextjs && docker compose ps", True),
        ("docker ps", True),
        ("systemctl restart docker", True),
        ("docker-vps list", True),
        ("cd site", False),
        ("ansible docker_vps -i prod -m ptnextjs.docker_vps.container_health", False),
        ("ansible-playbook setup.yml -i prod", False),
    ],
)
def test_commands_of_the_host_are_told_from_others(command: str, there: bool) -> None:
    assert bool(guide.ON_THE_HOST.match(command)) == there
