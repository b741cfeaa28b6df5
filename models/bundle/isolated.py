"""Verification in a child process with limits of memory and time, for bundles of other people.

A graph of allowed operators may still ask for more memory than the machine has, and its sizes may
depend on the number of faces in any way: so every number of faces is tried that is drawn at once.
"""

import resource
import subprocess
import sys
from pathlib import Path

import structlog

from models import memory
from models.errors import BadBundle

log = structlog.get_logger()
MEMORY = 2 * 2**30  # bytes of the child's private memory; the shipped models take 0.2 GiB
SECONDS = 120
EXIT_BAD = 3  # the bundle is bad, and stderr says why


def verify(folder: Path, version: str) -> None:
    """Verify a bundle in a child process. Raises BadBundle, as the child's verification does."""
    command = [sys.executable, "-m", "models.bundle.isolated", str(folder), version]
    limits = f"{_memory_limit() >> 20:,} MiB of memory and {SECONDS} s"
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise BadBundle(f"Bundle {version[:12]} does not draw within {limits}.") from None
    if child.returncode == EXIT_BAD:
        raise BadBundle(child.stderr.strip().splitlines()[-1])
    if child.returncode:
        log.warning(
            "bundle.not_verified",
            version=version,
            exit=child.returncode,
            error=child.stderr[-2000:],
        )
        raise BadBundle(f"Bundle {version[:12]} does not draw within {limits}.")


def _memory_limit() -> int:
    return min(MEMORY, memory.available() // 2)


def main() -> None:
    """Verify the bundle of the arguments within the limits."""
    from models.bundle import verify as verification

    limit = _memory_limit()
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        drawer = verification.verify(Path(sys.argv[1]), sys.argv[2])
        verification.check_batches(drawer, sys.argv[2])
    except BadBundle as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_BAD)


if __name__ == "__main__":
    main()
