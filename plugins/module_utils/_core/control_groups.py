# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container uses and may use, by the files of its control group.

Sources: the kernel's documentation, admin-guide/cgroup-v2 for version 2, admin-guide/cgroup-v1/memory, cpuacct and
scheduler/sched-bwc for version 1.
"""

from __future__ import annotations

from typing import Callable, Dict

from .watch import CpuFacts, MemoryFacts

Read = Callable[[str], str]
"""Returns a file of a control group by its name, in version 1 with the controller before it, as in cpu/cpu.shares."""

_UNLIMITED = 1 << 62
"""Version 1 has no word for no limit, but a number that is about as great as its type goes."""


def group_of(groups: str, controller: str = "") -> str:
    """Return the path of a process's group, relative to where the groups are mounted.

    Args:
        groups: what /proc/PID/cgroup says.
        controller: of version 1; empty for version 2.

    Raises:
        LookupError: the process is in no such group.
    """
    for line in groups.splitlines():
        number, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") and (controller or number == "0"):
            return path.lstrip("/")
    raise LookupError(controller or "version 2")


def memory_2(read: Read) -> MemoryFacts:
    """Return the memory of a group of version 2; what is cached and idle does not count.

    Raises:
        LookupError, ValueError: a file is not as expected.
    """
    limit = read("memory.max").strip()
    used = int(read("memory.current")) - _table(read("memory.stat"))["inactive_file"]
    return MemoryFacts(max(used, 0), 0 if limit == "max" else int(limit), _table(read("memory.events"))["oom_kill"])


def memory_1(read: Read) -> MemoryFacts:
    """Return the memory of a group of version 1, as of one of version 2."""
    limit = int(read("memory/memory.limit_in_bytes"))
    cached = _table(read("memory/memory.stat"))["total_inactive_file"]
    used = int(read("memory/memory.usage_in_bytes")) - cached
    kills = _table(read("memory/memory.oom_control")).get("oom_kill", 0)  # kernels before 4.13 do not count
    return MemoryFacts(max(used, 0), 0 if limit >= _UNLIMITED else limit, kills)


def cpu_2(read: Read, cpus: int) -> CpuFacts:
    """Return what a group of version 2 has used of the CPUs of its host, of which there are so many.

    Raises:
        LookupError, ValueError: a file is not as expected.
    """
    quota, period = read("cpu.max").split()
    seconds = _table(read("cpu.stat"))["usage_usec"] / 1e6
    return CpuFacts(seconds, float(cpus) if quota == "max" else int(quota) / int(period))


def cpu_1(read: Read, cpus: int) -> CpuFacts:
    """Return what a group of version 1 has used of the CPUs of its host, as of one of version 2."""
    quota, period = int(read("cpu/cpu.cfs_quota_us")), int(read("cpu/cpu.cfs_period_us"))
    return CpuFacts(int(read("cpuacct/cpuacct.usage")) / 1e9, quota / period if quota > 0 else float(cpus))


def _table(text: str) -> Dict[str, int]:
    """Return a file in which each line has a name and a number."""
    return {name: int(number) for name, number in (line.split() for line in text.splitlines())}
