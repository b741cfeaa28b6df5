"""Disks that are full or broken for one process: a library that fails its writes."""

import shutil
import subprocess
from pathlib import Path
from typing import Literal

SOURCE = Path(__file__).with_name("disk_faults.c")
DiskFault = Literal["none", "full", "broken"]
CODES: dict[DiskFault, bytes] = {"none": b"\0", "full": b"\1", "broken": b"\2"}


def compile_library(folder: Path) -> Path | None:
    """The library for LD_PRELOAD; None without a C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    library = folder / "disk_faults.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return library


class FaultyDisk:
    """The part of a disk below `folder`, as the processes with its environment see it."""

    def __init__(self, library: Path, control: Path, folder: Path) -> None:
        self.control = control
        control.write_bytes(CODES["none"])
        self.environment = {
            "LD_PRELOAD": str(library),
            "ADVERSARY_DISK": str(control),
            "ADVERSARY_FOLDER": f"{folder.resolve()}/",
        }

    def set(self, fault: DiskFault) -> None:
        """Break or mend it at once; the mapped page shows it to the processes."""
        with self.control.open("r+b") as file:
            file.write(CODES[fault])
