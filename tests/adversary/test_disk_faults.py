"""A full or broken disk, for one process and one folder, and whole again afterwards."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.adversary.cluster import clock_environment, faketime_library
from tests.adversary.disk_faults import DiskFault, FaultyDisk, compile_library

WRITE = """
import os, sys
try:
    with open(sys.argv[1], "wb", buffering=0) as file:
        file.write(b"bytes")
        os.fsync(file.fileno())
except OSError as error:
    sys.exit(error.errno)
"""

SLEEP = """
import sys, time
start = time.monotonic()
for _ in range(3):
    time.sleep(0.02)
sys.exit(time.monotonic() - start < 0.05)
"""


@pytest.mark.parametrize(
    ("fault", "code"), [("none", 0), ("full", errno.ENOSPC), ("broken", errno.EIO)]
)
def test_writes_below_the_folder_fail_and_others_do_not(
    tmp_path: Path, fault: DiskFault, code: int
) -> None:
    library = compile_library(tmp_path)
    if library is None:
        pytest.skip("no C compiler here: `apt-get install gcc`")
    folder = tmp_path / "home"
    folder.mkdir()
    disk = FaultyDisk(library, tmp_path / "control", folder)
    environment = {**os.environ, **disk.environment}

    def write(path: Path) -> int:
        command = [sys.executable, "-S", "-c", WRITE, str(path)]
        return subprocess.run(command, env=environment, check=False).returncode

    disk.set(fault)
    assert write(folder / "file") == code
    assert write(tmp_path / "file") == 0
    disk.set("none")
    assert write(folder / "file") == 0


def test_a_process_with_another_clock_sleeps_as_long_as_it_wants(tmp_path: Path) -> None:
    library, faketime = compile_library(tmp_path), faketime_library()
    if library is None or faketime is None:
        pytest.skip("no C compiler or libfaketime here: `apt-get install gcc faketime`")
    clock = tmp_path / "clock"
    clock.write_text("+3600s\n")
    environment = {**os.environ, **clock_environment(clock)}
    environment["LD_PRELOAD"] = f"{library} {faketime}"
    command = [sys.executable, "-S", "-c", SLEEP]
    assert subprocess.run(command, env=environment, check=False).returncode == 0
