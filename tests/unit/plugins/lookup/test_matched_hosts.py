# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup matched_hosts with Ansible's own patterns."""

from __future__ import annotations

from typing import Mapping, Optional, Sequence

import pytest
from ansible import context
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader
from ansible.utils.context_objects import ImmutableDict
from ansible_collections.ptnextjs.docker_vps.plugins.lookup.matched_hosts import LookupModule

GROUPS = {"all": ["web1", "web2", "db1"], "ungrouped": [], "shop": ["web1", "web2"], "empty": []}


def matched(*terms: str, groups: Optional[Mapping[str, Sequence[str]]] = None) -> object:
    return LookupModule(loader=DataLoader()).run(list(terms), {"groups": GROUPS if groups is None else groups})


@pytest.mark.parametrize("pattern", ["shop", "web1", "web*", "all", "shop:!web1", "empty:db1"])
def test_a_pattern_that_matches(pattern: str) -> None:
    assert matched(pattern) == [pattern]


@pytest.mark.parametrize("pattern", ["shopp", "empty", "shop:!web*", "localhost:!localhost"])
def test_a_pattern_that_matches_nobody(pattern: str) -> None:
    with pytest.raises(AnsibleLookupError) as caught:
        matched(pattern)
    assert str(caught.value).startswith(f"No host matches {pattern}, so nothing was done. The inventory has the groups")


def test_no_inventory() -> None:
    with pytest.raises(AnsibleLookupError, match="The inventory has no group. Was it given with -i"):
        matched("docker_vps", groups={"all": [], "ungrouped": []})


def test_a_check_of_the_syntax_needs_no_inventory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "CLIARGS", ImmutableDict(syntax=True))
    assert matched("shopp", groups={}) == ["shopp"]


@pytest.mark.parametrize("limit", ["web1", "web1:db1", "@hosts.retry", None])
def test_a_limit_that_leaves_somebody(limit: Optional[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "CLIARGS", ImmutableDict(subset=limit))
    assert matched("shop") == ["shop"]


def test_a_limit_that_leaves_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "CLIARGS", ImmutableDict(subset="db1"))
    with pytest.raises(AnsibleLookupError, match="No host of shop is in --limit db1, so nothing was done"):
        matched("shop")
