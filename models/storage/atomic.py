"""Writing so that a reader sees the old file or the new one, whatever dies in between."""

import contextlib
import hashlib
import lzma
import os
import shutil
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from models.failpoints import fail_point

# What zipfile raises for bytes that are no whole zip, and for zips that it does not read.
BROKEN_ZIP = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, EOFError)
UNREADABLE_ZIP = (NotImplementedError, RuntimeError, UnicodeDecodeError)


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success it becomes `path`, else nothing stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A temporary folder inside `parent`, gone afterwards unless it was renamed."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f".{uuid.uuid4().hex}.tmp"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def settle(folder: Path, target: Path) -> None:
    """Rename a finished folder into place, durably; one that is there already stays."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)
    fail_point("publish.synced")
    with contextlib.suppress(FileExistsError, OSError):
        folder.rename(target)
    if not target.is_dir():
        raise OSError(f"could not move a finished folder to {target.name}")
    os.utime(target)  # young again: `kao gc` leaves it alone until its row is written
    fail_point("publish.renamed")
    sync(target.parent)


def sha256(path: Path) -> str:
    """A file's SHA-256 in hex, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
