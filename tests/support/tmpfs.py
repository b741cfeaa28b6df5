"""Small disks that can be filled."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class Disk:
    """A mounted tmpfs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def free(self) -> int:
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def fill(self, leave: int = 0) -> Path:
        """Fill it but for `leave` bytes. Returns the file to remove to make room again."""
        filler = self.folder / "filler"
        with filler.open("wb") as file, contextlib.suppress(OSError):
            while self.free() > leave:
                file.write(bytes(min(65_536, max(4096, self.free() - leave))))
                file.flush()
        return filler


@contextlib.contextmanager
def tmpfs(folder: Path, megabytes: int) -> Iterator[Disk]:
    """A disk of that size at `folder`; skips the test where mounting is not permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    process = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if process.returncode:
        pytest.skip(f"needs to mount a small disk: {process.stderr.strip() or 'no mount'}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
