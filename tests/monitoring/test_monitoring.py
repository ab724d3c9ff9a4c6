# SPDX-License-Identifier: GPL-3.0-or-later
"""What the watch writes for Prometheus, read by Debian's promtool and by a real node_exporter that runs as nobody."""

from __future__ import annotations

import pwd
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Iterator
from urllib.request import urlopen

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.metrics import METRICS, PREFIX, text_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.watch import CRITICAL, Finding
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import files
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ROOT
from ansible_collections.ptnextjs.docker_vps.tests.unit.watching import NOW, WELL, app
from lab import until
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from servers import answers, free_port

RULES = ROOT / "examples/monitoring/docker_vps.rules.yml"
FINDING = Finding('disk-low:/a"b\\c\nd', CRITICAL, "the disk", "full", "space", "prune")
TEXT = text_of("shop", replace(WELL, app=app(log_bytes=5)), [FINDING], {}, NOW, False)


@pytest.mark.parametrize(("command", "given"), [(("metrics",), TEXT), (("rules", str(RULES)), "")])
def test_promtool_accepts_metrics_and_rules(command: tuple[str, ...], given: str) -> None:
    done = subprocess.run(["promtool", "check", *command], input=given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def scraped() -> Iterator[str]:
    """What node_exporter serves of a directory in which the watch has written as root does."""
    place = Path("/var/lib/docker-vps-monitoring-test")
    place.mkdir(mode=0o755)
    files.replace(str(place / "dockervps_shop.prom"), files.own(TEXT, 0o644))
    port, nobody = free_port(), pwd.getpwnam("nobody")
    command = ["prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile"]
    command += [f"--collector.textfile.directory={place}", f"--web.listen-address=127.0.0.1:{port}"]
    process = subprocess.Popen(command, user=nobody.pw_uid, group=nobody.pw_gid, stderr=subprocess.DEVNULL)
    try:
        until(lambda: answers(port), 10, "an answer of node_exporter")
        with urlopen(f"http://127.0.0.1:{port}/metrics") as page:  # our own address
            yield page.read().decode()
    finally:
        process.terminate()
        process.wait()
        for path in place.iterdir():
            path.unlink()
        place.rmdir()


def test_node_exporter_serves_what_was_written_as_nobody(scraped: str) -> None:
    found = {family.name: family for family in text_string_to_metric_families(scraped)}
    assert found["node_textfile_scrape_error"].samples[0].value == 0
    ours = {family.name: family for family in text_string_to_metric_families(TEXT)}
    assert len(ours) == len(METRICS)
    for name, family in ours.items():
        assert name.startswith(PREFIX)
        served = found[name]
        assert (served.type, served.documentation) == (family.type, family.documentation)
        assert values(served) == values(family)


def values(family: Metric) -> list[tuple[str, list[tuple[str, str]], float]]:
    """Return the name, the labels and the value of each sample."""
    return sorted((sample.name, sorted(sample.labels.items()), float(sample.value)) for sample in family.samples)
