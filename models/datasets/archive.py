"""Checks a zip of pictures without unpacking it to disk.

What a header promises is never believed: sizes and ratios are those of the bytes that come out.
"""

import contextlib
import io
import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from models.datasets import labels
from models.datasets.exclusions import Exclusion
from models.datasets.images import FORMAT_NAMES, is_image_name
from models.datasets.listing import reason_to_leave_out
from models.datasets.near_duplicates import NearDuplicates
from models.datasets.survey import Survey
from models.errors import DatasetError
from models.storage.atomic import BROKEN_ZIP, UNREADABLE_ZIP

CHUNK = 1 << 18
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".jar")
STARTS = (b"PK\x03\x04", b"PK\x05\x06")  # an entry; or the end, where there is none
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # what every zip tool writes
# Flat pictures (BMP) compress a hundredfold and are small; only large output makes a bomb.
RATIO_COUNTS_FROM = 1 << 20
LONGEST_NAME = 1000  # characters
# Bytes of the archive's list of entries for each entry that is allowed. zipfile reads that list
# in one go, whatever its length, and keeps ten times as much memory.
LISTING_BYTES = 128
UTF_8 = 0x800  # the flag of a name in UTF-8 (APPNOTE 4.4.4, bit 11)
LOCAL_HEADER = 30  # bytes at least before an entry's data
_SEPARATOR = re.compile(r"\\(?!\.)")
MOST_NAMED = 5  # unreadable files in a message
FEWEST = 2  # pictures; a discriminator has nothing to compare below
NO_PICTURES = f"The archive has no pictures; put {FORMAT_NAMES} files in it."


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
class Listing:
    """An archive's files by name: its pictures sorted, the others with the reason to leave out."""

    pictures: list[str]
    left_out: list[Exclusion]


@dataclass(frozen=True)
class ArchiveReport:
    """What a checked archive holds: usable pictures, the files left out, the pictures' bytes.

    near_duplicates: among the pictures that were decoded.
    """

    images: int
    left_out: list[Exclusion]
    total_bytes: int
    near_duplicates: NearDuplicates = field(default_factory=NearDuplicates)


def check(
    path: Path, limits: Limits = Limits(), *, look: bool = False, strict: bool = False
) -> ArchiveReport:
    """Read the whole archive once and say what it holds.

    Only pictures are ever decompressed. Raises ArchiveError for anything that an honest zip of
    pictures does not have, and FileNotFoundError for no file.
    look: read each picture too (Survey), leave out what is broken, and refuse fewer than FEWEST.
    strict: refuse the archive for such a picture instead.
    """
    total, survey = 0, Survey()
    with _open(path, limits) as archive:
        images = _check_entries(archive, limits)
        files = _listing(archive)
        for name, data in _read(archive, images, limits, path.stat().st_size):
            total += len(data)
            if look:
                survey.look(name, data)
    unreadable = survey.unreadable
    if unreadable and strict:
        raise ArchiveError(_strict_message(unreadable))
    usable = len(images) - len(unreadable)
    if look and usable < FEWEST:
        why = f" ({unreadable[0].name[:120]!r}: {unreadable[0].reason})" if unreadable else ""
        raise ArchiveError(
            f"The archive has {usable} usable of {len(images)} pictures{why} and training needs at "
            f"least {FEWEST}, best some thousands."
        )
    left_out = [*files.left_out, *unreadable]
    return ArchiveReport(usable, left_out, total, survey.near_duplicates())


def check_entries(path: Path, limits: Limits = Limits()) -> None:
    """Check all that needs no decompressing; `members` checks the rest. Raises ArchiveError."""
    with _open(path, limits) as archive:
        _check_entries(archive, limits)


def _check_entries(archive: zipfile.ZipFile, limits: Limits) -> list[zipfile.ZipInfo]:
    """The pictures, after a check of every entry's name, kind and place."""
    entries = archive.infolist()
    if len(entries) > limits.entries:
        raise ArchiveError(
            f"The archive has {len(entries):,} entries and at most {limits.entries:,} are "
            "read; split it into several datasets."
        )
    _check_names(entries)
    images = _images(archive)
    if not images:
        raise ArchiveError(NO_PICTURES)
    _check_places(images)
    return images


def listing(path: Path) -> Listing:
    """Sort the archive's files by their names alone. Raises ArchiveError."""
    with _open(path, Limits()) as archive:
        return _listing(archive)


def metadata(path: Path) -> dict[str, Callable[[], bytes]]:
    """The archive's files with labels, each with its reader, which raises ArchiveError."""

    def reader(name: str) -> Callable[[], bytes]:
        def read() -> bytes:
            limits = Limits(file_bytes=labels.LARGEST_FILE)
            with _open(path, limits) as archive:
                entry = next(each for each in archive.infolist() if entry_name(each) == name)
                return b"".join(_chunks(archive, entry, limits))

        return read

    with _open(path, Limits()) as archive:
        names = [entry_name(entry) for entry in archive.infolist() if not entry.is_dir()]
    return {name: reader(name) for name in names if reason_to_leave_out(name) == "labels"}


def _listing(archive: zipfile.ZipFile) -> Listing:
    pictures, left_out = [], []
    for entry in archive.infolist():
        if entry.is_dir():
            continue
        reason = reason_to_leave_out(entry_name(entry))
        if reason is None:
            pictures.append(entry_name(entry))
        elif reason != "labels":
            left_out.append(Exclusion(entry_name(entry), reason))
    return Listing(sorted(pictures), sorted(left_out))


def entry_name(entry: zipfile.ZipInfo) -> str:
    """An entry's name with slashes: Windows' own Compress-Archive writes backslashes.

    Not one before a dot: it is the second byte of a Japanese or Chinese character there. Names in
    UTF-8 without its flag, as macOS writes them, are read as UTF-8.
    """
    name = entry.filename
    if not entry.flag_bits & UTF_8:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return _SEPARATOR.sub("/", name)


def _strict_message(unreadable: list[Exclusion]) -> str:
    first = ", ".join(f"{name[:120]!r} ({reason})" for name, reason in unreadable[:MOST_NAMED])
    rest_text = (
        f" and {len(unreadable) - MOST_NAMED:,} more" if len(unreadable) > MOST_NAMED else ""
    )
    return f"Not every picture can be read: {first}{rest_text}; leave them out."


def members(
    path: Path,
    limits: Limits = Limits(),
    only: Container[str] | None = None,
) -> Iterator[tuple[str, bytes]]:
    """Yield the pictures named in `only` (default: all) as (name, bytes), in order of their names.

    One file is in memory at a time. Raises ArchiveError as `check` does for sizes and damage.
    """
    with _open(path, limits) as archive:
        images = [each for each in _images(archive) if only is None or entry_name(each) in only]
        yield from _read(archive, images, limits, path.stat().st_size)


class _BoundedReader(io.BufferedReader):
    """A file that refuses to read more than `most` bytes at once."""

    most = CHUNK

    def read(self, size: int | None = -1, /) -> bytes:
        """As a file's, at most to its end. Raises ArchiveError."""
        left = os.fstat(self.fileno()).st_size - self.tell()
        size = left if size is None or size < 0 else min(size, left)
        if size > self.most:
            raise ArchiveError("The archive's list of entries is too long; split it into several.")
        return super().read(max(0, size))


@contextmanager
def _open(path: Path, limits: Limits) -> Iterator[zipfile.ZipFile]:
    """Open a zip; whatever its reader finds wrong becomes an ArchiveError."""
    try:
        with _BoundedReader(io.FileIO(path)) as file:
            file.most = max(CHUNK, limits.entries * LISTING_BYTES)
            if file.read(4) not in STARTS:
                raise zipfile.BadZipFile("it does not begin like one")
            with zipfile.ZipFile(file) as archive:
                yield archive
    except BROKEN_ZIP as error:
        raise ArchiveError(
            f"The file is not a whole zip archive ({error}); zip the pictures again."
        ) from error
    except UNREADABLE_ZIP as error:
        raise ArchiveError(
            f"The archive cannot be read ({error}); zip the pictures again without options."
        ) from error


def _images(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    files = (entry for entry in archive.infolist() if not entry.is_dir())
    return sorted(
        (entry for entry in files if reason_to_leave_out(entry_name(entry)) is None),
        key=entry_name,
    )


def _check_names(entries: list[zipfile.ZipInfo]) -> None:
    names: set[str] = set()
    for entry in entries:
        reason = _refusal(entry)
        if reason:
            raise ArchiveError(f"The entry {entry.orig_filename[:120]!r} {reason}")
        # One name on a case-insensitive or normalising disk is one file.
        key = unicodedata.normalize("NFC", entry_name(entry)).casefold().rstrip("/")
        if key in names:
            raise ArchiveError(
                f"The name {entry.filename[:120]!r} is in the archive twice (capitals aside); "
                "rename one of the two."
            )
        names.add(key)


def _refusal(entry: zipfile.ZipInfo) -> str | None:
    """Say what is wrong with an entry's header, or None."""
    name, kind = entry.orig_filename.replace("\\", "/"), stat.S_IFMT(entry.external_attr >> 16)
    if len(name) > LONGEST_NAME:
        return "has too long a name; shorten it."
    # Of category Cc alone: people's names hold narrow spaces, joiners and marks of direction.
    if any(unicodedata.category(character) == "Cc" for character in name):
        return "has a control character in its name; rename it."
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


def _check_places(images: list[zipfile.ZipInfo]) -> None:
    """Entries that share bytes make a small archive unpack to anything (Fifield, WOOT 2019)."""
    end = 0
    for entry in sorted(images, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise ArchiveError(
                f"The entry {entry.filename[:120]!r} overlaps another, as only a zip bomb's does; "
                "zip the pictures again."
            )
        end = entry.header_offset + LOCAL_HEADER + entry.compress_size


def _read(
    archive: zipfile.ZipFile, images: list[zipfile.ZipInfo], limits: Limits, size: int
) -> Iterator[tuple[str, bytes]]:
    """Decompress pictures one by one: (name, bytes). Raises ArchiveError where they grow too large.

    size: the archive's own bytes.
    """
    total = 0
    for entry in images:
        data = b"".join(_chunks(archive, entry, limits))
        total += len(data)
        if total > limits.total_bytes:
            raise ArchiveError(
                f"The archive holds more than {limits.total_bytes:,} bytes of pictures; "
                "use fewer or smaller ones."
            )
        if total > max(RATIO_COUNTS_FROM, limits.ratio * size):
            raise ArchiveError(
                f"The archive unpacks to more than {limits.ratio:g} times its size, as only a "
                "zip bomb does; save the pictures as PNG."
            )
        yield entry_name(entry), data


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
