"""The number of CPU cores that this process may use."""

import contextlib
import os
from pathlib import Path

# The CPU time that the cgroup may use in each period, both in µs; "max 100000" without a limit
# (Linux, cgroup-v2.rst, "cpu.max").
QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available() -> int:
    """Return the cores in this process's affinity mask, limited by the container's CPU quota."""
    has_affinity = hasattr(os, "sched_getaffinity")  # macOS lacks it
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = QUOTA.read_text().split()
        cores = max(1, min(cores, int(quota) // int(period)))
    return cores
