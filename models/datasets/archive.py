"""A zip of pictures that somebody brought, checked without unpacking it to disk.

What a header promises is never believed: sizes and ratios are those of the bytes that come out.
"""

import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.datasets.images import DatasetError, is_image_name

CHUNK = 1 << 18
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".jar")
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # what every zip tool writes
# Flat pictures (BMP) compress a hundredfold and are small; only large output makes a bomb.
RATIO_COUNTS_FROM = 1 << 20


class ArchiveError(DatasetError):
    """A zip that is refused; its text is one sentence that says why and what to do."""


@dataclass(frozen=True)
class Limits:
    """The most that an archive may hold. Bytes are those that come out of it."""

    entries: int = 200_000
    file_bytes: int = 32 << 20
    total_bytes: int = 8 << 30
    ratio: float = 200


@dataclass(frozen=True)
class ArchiveReport:
    """What a checked archive holds: pictures by name, other files, the pictures' bytes."""

    images: int
    ignored: int
    total_bytes: int


def check(path: Path, limits: Limits = Limits()) -> ArchiveReport:
    """Read the whole archive once and say what it holds.

    Only pictures are ever decompressed; other files are counted and ignored. Raises ArchiveError
    for anything that an honest zip of pictures does not have, and FileNotFoundError for no file.
    """
    with _opened(path) as archive:
        entries = archive.infolist()
        if len(entries) > limits.entries:
            raise ArchiveError(
                f"The archive has {len(entries):,} entries and at most {limits.entries:,} are "
                "read; split it into several datasets."
            )
        _check_names(entries)
        images = _images(archive)
        if not images:
            raise ArchiveError(
                "The archive has no pictures; put PNG, JPEG, WebP, GIF, BMP or AVIF files in it."
            )
        total = 0
        for entry in images:
            total += _measure(archive, entry, limits, total)
    files = sum(not entry.is_dir() for entry in entries)
    return ArchiveReport(images=len(images), ignored=files - len(images), total_bytes=total)


def members(
    path: Path,
    limits: Limits = Limits(),
    count: int | None = None,
) -> Iterator[tuple[str, bytes]]:
    """Give the first `count` pictures (default: all) as (name, bytes), in order of their names.

    One file is in memory at a time. Raises ArchiveError as `check` does for a file's size.
    """
    with _opened(path) as archive:
        for entry in _images(archive)[:count]:
            chunks = list(_chunks(archive, entry, limits))
            yield entry.filename, b"".join(chunks)


def names(path: Path) -> list[str]:
    """List the pictures' names in the order in which `members` gives them."""
    with _opened(path) as archive:
        return [entry.filename for entry in _images(archive)]


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip; whatever its reader finds wrong becomes an ArchiveError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError) as error:
        raise ArchiveError(
            f"The file is not a whole zip archive ({error}); zip the pictures again."
        ) from error
    except (NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        raise ArchiveError(
            f"The archive cannot be read ({error}); zip the pictures again without options."
        ) from error


def _images(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    files = (entry for entry in archive.infolist() if not entry.is_dir())
    return sorted(
        (entry for entry in files if is_image_name(entry.filename)),
        key=lambda entry: entry.filename,
    )


def _check_names(entries: list[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    for entry in entries:
        reason = _refusal(entry)
        if reason:
            raise ArchiveError(f"The entry {entry.orig_filename[:120]!r} {reason}")
        # One name on a case-insensitive or normalising disk is one file.
        folded = unicodedata.normalize("NFC", entry.filename).casefold().rstrip("/")
        if folded in seen:
            raise ArchiveError(
                f"The name {entry.filename[:120]!r} is in the archive twice (capitals aside); "
                "rename one of the two."
            )
        seen.add(folded)


def _refusal(entry: zipfile.ZipInfo) -> str | None:
    """Say what is wrong with an entry's header, or None."""
    name, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
    if "\\" in name or "\0" in name:
        return "has a backslash or a null in its name; zip with forward slashes."
    if name.startswith("/") or name[1:2] == ":":
        return "is an absolute path; zip a folder by its relative name."
    if ".." in name.split("/"):
        return "points outside the archive; zip a folder by its relative name."
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device; zip the pictures themselves."
    if entry.flag_bits & 0x1:
        return "is encrypted; zip without a password."
    if name.lower().endswith(ARCHIVES):
        return "is an archive inside the archive; put its pictures there instead."
    if entry.compress_type not in METHODS and is_image_name(name):
        return "uses an unusual compression; zip with the usual one (deflate)."
    return None


def _measure(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limits: Limits, before: int) -> int:
    """Decompress an entry to nowhere and give its bytes; `before`: those of earlier entries."""
    size = 0
    for chunk in _chunks(archive, entry, limits):
        size += len(chunk)
        if before + size > limits.total_bytes:
            raise ArchiveError(
                f"The archive holds more than {limits.total_bytes:,} bytes of pictures; "
                "use fewer or smaller ones."
            )
    return size


def _chunks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limits: Limits) -> Iterator[bytes]:
    """Give an entry's bytes piece by piece, and stop with ArchiveError where it grows too large."""
    size = 0
    with archive.open(entry) as stream:
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            if size > limits.file_bytes:
                raise ArchiveError(
                    f"The picture {entry.filename[:120]!r} has more than {limits.file_bytes:,} "
                    "bytes; save it smaller."
                )
            if size > max(RATIO_COUNTS_FROM, limits.ratio * entry.compress_size):
                raise ArchiveError(
                    f"The entry {entry.filename[:120]!r} unpacks to more than {limits.ratio:g} "
                    "times its size, as only a zip bomb does; leave it out."
                )
            yield chunk
