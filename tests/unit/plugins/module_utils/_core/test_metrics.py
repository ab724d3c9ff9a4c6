# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus reads, by its own parser."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit import Unseen
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.metrics import METRICS, PREFIX, text_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.watch import (
    CRITICAL,
    BackupFacts,
    Facts,
    Finding,
    RequestFacts,
    unseen,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ROOT
from ansible_collections.ptnextjs.docker_vps.tests.unit.watching import NOW, WELL, app
from prometheus_client.parser import text_string_to_metric_families

EXAMPLES = ROOT / "examples/monitoring"
FINDING = Finding('disk-low:/a"b\\c\nd', CRITICAL, "the disk", "full", "space", "prune")


def families(text: str) -> dict[str, Any]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def parsed(facts: Facts = WELL, *findings: Finding, name: str = "shop") -> dict[str, Any]:
    return families(text_of(name, facts, findings, unseen(facts), NOW, False))


def family_of(name: str) -> str:
    """Return what the parser calls a metric."""
    return PREFIX + (name[: -len("_total")] if METRICS[name][0] == "counter" else name)


def test_every_metric_has_a_value_a_help_and_a_type() -> None:
    whole = replace(WELL, app=app(log_bytes=5))
    found = parsed(whole, FINDING)
    assert set(found) == {family_of(name) for name in METRICS}
    for family in found.values():
        assert family.documentation.endswith(".")
        assert all(sample.labels["app"] == "shop" for sample in family.samples)


def test_names_end_as_prometheus_wants_them() -> None:
    for name, (kind, _help) in METRICS.items():
        assert name.endswith("_total") is (kind == "counter")
        assert not any(unit in name for unit in ("_ms", "_mb", "_percent", "_days", "_hours"))


def test_labels_hold_whatever_a_name_has() -> None:
    (sample,) = parsed(WELL, FINDING)["dockervps_finding"].samples
    assert sample.labels == {"app": "shop", "id": FINDING.id, "severity": CRITICAL}


def test_values_are_in_base_units() -> None:
    found = parsed()
    assert found["dockervps_certificate_left_seconds"].samples[0].value == 80 * 86400
    assert found["dockervps_memory_limit_bytes"].samples[0].value == 512 << 20
    assert found["dockervps_clock_offset_seconds"].samples[0].value == 0.1
    assert found["dockervps_last_run_timestamp_seconds"].samples[0].value == NOW


def test_what_was_not_looked_at_has_no_value() -> None:
    blind = Unseen("no")
    groups = [field.name for field in fields(Facts) if field.name not in ("at", "boot", "uptime", "engine")]
    found = parsed(replace(WELL, **dict.fromkeys(groups, blind)))
    left = ("last_run_timestamp_seconds", "last_run_success", "looked_at", "findings")
    assert set(found) == {PREFIX + name for name in left}
    assert {sample.value for sample in found["dockervps_looked_at"].samples} == {0.0}
    some = parsed(replace(WELL, backups=BackupFacts(None, None, 5), request=RequestFacts("no")))
    assert "dockervps_backup_last_timestamp_seconds" not in some
    assert "dockervps_certificate_left_seconds" not in some


def test_two_applications_agree_on_help_and_type() -> None:
    def heads(text: str) -> list[str]:
        return [line for line in text.splitlines() if line.startswith("#")]

    shop, blog = (text_of(name, WELL, [], {}, NOW, name == "blog") for name in ("shop", "blog"))
    assert heads(shop) == heads(blog)
    assert set(shop.splitlines()) & set(blog.splitlines()) == set(heads(shop))
    assert families(blog)["dockervps_last_run_success"].samples[0].value == 0.0


def test_each_metric_is_documented() -> None:
    page = (ROOT / "docs/watch.md").read_text(encoding="utf-8")
    assert [name for name in METRICS if f"`{PREFIX}{name}`" not in page] == []


@pytest.mark.parametrize("name", ["docker_vps.rules.yml", "dashboard.json"])
def test_the_examples_name_metrics_that_there_are(name: str) -> None:
    named = set(re.findall(rf"{PREFIX}(\w+)", (EXAMPLES / name).read_text(encoding="utf-8")))
    assert named
    assert named - set(METRICS) == set()
    if name.endswith(".json"):
        panels = json.loads((EXAMPLES / name).read_text(encoding="utf-8"))["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
