"""The memory that this process may use."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")  # cgroups(7): hierarchy-ID:controllers:path


def available() -> int:
    """Return the machine's memory in bytes, or the smallest limit of a cgroup of this process."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_limits()])


def _limits() -> Iterator[int]:
    """The limits of this process's cgroup and of those above it, in bytes.

    In a container with a cgroup namespace of its own, the container's limit is the topmost one.
    """
    for file in _limit_files():
        with contextlib.suppress(OSError, ValueError):  # absent; "max" where there is no limit
            yield int(file.read_text())


def _limit_files() -> Iterator[Path]:
    # Without its own namespace a container sees the host's path, but its limit at the root.
    yield from (CGROUPS / "memory.max", CGROUPS / "memory" / "memory.limit_in_bytes")
    lines = []
    with contextlib.suppress(OSError):
        lines = MEMBERSHIP.read_text().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2 (Linux, cgroup-v2.rst, "memory.max")
            folder, file = CGROUPS, "memory.max"
        elif "memory" in controllers.split(","):  # version 1
            folder, file = CGROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = PurePosixPath(path.lstrip("/"))
        yield from (folder / each / file for each in (group, *group.parents))
