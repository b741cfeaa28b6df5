"""Atomic writes: a reader sees the old file or the new one, whichever process is killed when."""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from models.failpoints import fail_point
from models.storage import layout

# What a write raises without a file's name.
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


def sync(path: Path) -> None:
    """Flush a file's bytes, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_folder(path: Path) -> Path:
    """Make a folder that other users cannot read, or take their access away; `path`.

    A folder that its group may write to is shared on purpose: the group keeps its access. A folder
    of another owner stays as it is.
    """
    for parent in reversed(path.parents):  # mkdir(parents=True) would make them after the umask
        if not parent.exists():
            parent.mkdir(mode=0o700, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    mode = stat.S_IMODE(path.stat().st_mode)
    private = mode & (0o7770 if mode & stat.S_IWGRP else 0o7700)
    if private != mode:
        with contextlib.suppress(PermissionError):
            path.chmod(private)
    return path


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`. It is renamed to `path` on success, else removed.

    Raises OSError, which names `path` and not the temporary one, also where something else than a
    file is there: a rename would replace a device.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "Is a directory; name a file in it", str(path))
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "Is no regular file", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        is_of_disk = error.filename is None and error.errno in DISK_ERRORS
        if is_of_disk or error.filename == str(temporary):
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Yield a private temporary folder inside `parent`. It is removed unless it was renamed."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f".{uuid.uuid4().hex}.tmp"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def copy_files(source: Path, folder: Path) -> Path:
    """Copy the files of a folder without subfolders into another one, which may exist; `folder`.

    Raises OSError, unlike `shutil.copytree`, whose error for a full disk has no number.
    """
    folder.mkdir(exist_ok=True)
    for path in source.iterdir():
        shutil.copyfile(path, folder / path.name)
    return folder


def settle(folder: Path, target: Path) -> None:
    """Rename a finished folder into place, durably. An existing target stays.

    It becomes as accessible as the folder that it moves into. Raises OSError where it cannot move.
    """
    for path in folder.rglob("*"):
        sync(path)
    folder.chmod(stat.S_IMODE(target.parent.stat().st_mode) & 0o777)
    sync(folder)
    fail_point("publish.synced")
    with contextlib.suppress(FileExistsError, OSError):
        folder.rename(target)
    if not target.is_dir():
        raise OSError(f"cannot move a finished folder to {target.name}")
    os.utime(target)  # gc ignores files younger than a day, and the row is not written yet
    fail_point("publish.renamed")
    sync(target.parent)


def hide(path: Path) -> Path:
    """Rename a file or folder to a temporary name; the new path.

    No process finds an incomplete copy while it is removed, and `kao gc` removes it where this
    process is killed first. The name is a new one: such a rest of the same path may be there.
    """
    if layout.is_temporary(path.name):
        return path
    return path.rename(path.with_name(f".{path.name}.{uuid.uuid4().hex}.garbage"))


def remove(path: Path) -> bool:
    """Remove a file or a folder with its content; whether it is gone.

    A folder of another user may stay, or a part of it.
    """
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return not path.exists()


def sha256(path: Path) -> str:
    """Return a file's SHA-256 in hex, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
