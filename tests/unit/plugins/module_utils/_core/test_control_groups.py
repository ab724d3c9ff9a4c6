# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups of both versions, as the kernel writes them."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.control_groups import (
    cpu_1,
    cpu_2,
    group_of,
    memory_1,
    memory_2,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.watch import CpuFacts, MemoryFacts

HYBRID = "9:name=systemd:/system.slice\n4:memory:/docker/a:b\n2:cpu,cpuacct:/docker/c\n0::/unified\n"


@pytest.mark.parametrize(
    ("controller", "path"),
    [("", "unified"), ("memory", "docker/a:b"), ("cpu", "docker/c"), ("cpuacct", "docker/c")],
)
def test_the_group_of_a_process(controller: str, path: str) -> None:
    assert group_of(HYBRID, controller) == path


@pytest.mark.parametrize("controller", ["", "memory", "acct"])
def test_a_process_in_no_such_group(controller: str) -> None:
    with pytest.raises(LookupError):
        group_of("2:cpu,cpuacct:/docker/c\n1::/odd\n", controller)


def test_no_limits() -> None:
    two = {
        "memory.max": "max\n",
        "memory.current": "20\n",
        "memory.stat": "inactive_file 50\n",
        "memory.events": "oom_kill 0\n",
        "cpu.max": "max 100000\n",
        "cpu.stat": "usage_usec 0\n",
    }.__getitem__
    one = {
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
        "memory/memory.usage_in_bytes": "20\n",
        "memory/memory.stat": "total_inactive_file 50\n",
        "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\n",
        "cpu/cpu.cfs_quota_us": "-1\n",
        "cpu/cpu.cfs_period_us": "100000\n",
        "cpuacct/cpuacct.usage": "0\n",
    }.__getitem__
    assert memory_1(one) == memory_2(two) == MemoryFacts(used=0, limit=0, kills=0)
    assert cpu_1(one, cpus=2) == cpu_2(two, cpus=2) == CpuFacts(0.0, 2.0)
