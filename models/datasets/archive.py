"""Checks a zip of pictures without unpacking it to disk.

Sizes and ratios are computed from the decompressed bytes, never from the headers.
"""

import io
import zipfile
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from models.datasets import label_files, labels
from models.datasets.archive_entries import UTF_8 as UTF_8, entry_name, entry_reason, refusal
from models.datasets.exclusions import Exclusion
from models.datasets.images import FORMAT_NAMES, BrokenImage, is_image_name
from models.datasets.near_duplicates import NearDuplicates
from models.datasets.picture_names import to_nfc
from models.datasets.survey import Survey
from models.errors import DatasetError
from models.storage.zips import BROKEN_ZIP, UNREADABLE_ZIP, BoundedReader, TooManyEntries

CHUNK = 1 << 18
# Signatures of an entry, of the end of an empty archive, and of one split into a single part.
STARTS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"PK00")
OTHER_SIGNATURES = {
    b"\x1f\x8b": " but like gzip", b"7z\xbc\xaf": " but like 7-Zip", b"Rar!": " but like RAR",
    b"\xfd7zX": " but like xz", b"BZh": " but like bzip2", b"<": " but like a page of the web",
}  # fmt: skip
# Flat pictures (BMP) compress a hundredfold and are small; only large output makes a bomb.
RATIO_COUNTS_FROM = 1 << 20
# Bytes of the archive's list of entries for each entry that is allowed.
LISTING_BYTES = 128
LOCAL_HEADER = 30  # bytes at least before an entry's data
LABEL_BYTES = 128 << 20  # of all files of labels; they are in memory together
MOST_NAMED = 5  # unreadable files in a message
FEWEST = 2  # pictures; with fewer a discriminator has nothing to compare
NO_PICTURES = f"The archive has no pictures; put {FORMAT_NAMES} files in it."


class ArchiveError(DatasetError):
    """A zip that is refused; its text is one sentence that says why and what to do."""


class BadEntry(ArchiveError):
    """One picture that cannot be read out of the archive; `reason` says why in a few words."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Limits:
    """The most that an archive may hold. Bytes are those that come out of it."""

    entries: int = 200_000
    file_bytes: int = 32 << 20
    total_bytes: int = 8 << 30
    ratio: float = 200


@dataclass(frozen=True)
class Listing:
    """An archive's files by name: its pictures sorted, the others with the reason to leave out.

    places: where each picture is among the archive's entries, from 0.
    """

    pictures: list[str]
    left_out: list[Exclusion]
    places: dict[str, int]


@dataclass(frozen=True)
class ArchiveReport:
    """What a checked archive holds: usable pictures, the files left out, the pictures' bytes.

    unreadable: the places of pictures that cannot be used; they are among those left out.
    near_duplicates: among the pictures that were decoded. flatness: median share of neighbouring
    pixels that are alike, 0 to 1 (`models/datasets/flatness.py`).
    """

    images: int
    left_out: list[Exclusion]
    total_bytes: int
    near_duplicates: NearDuplicates = field(default_factory=NearDuplicates)
    unreadable: list[int] = field(default_factory=list)
    flatness: float | None = None


def check(
    path: Path, limits: Limits = Limits(), *, decode: bool = False, strict: bool = False
) -> ArchiveReport:
    """Read the whole archive once and say what it holds.

    Only pictures and, with `decode`, files of labels are decompressed, and only those stored or
    deflated: for other methods zipfile decompresses a whole block at a time. Raises ArchiveError
    for anything that an honest zip of pictures does not have, and FileNotFoundError for no file.
    decode: read each picture too (Survey), leave out what is broken, and refuse fewer than FEWEST.
    strict: refuse the archive for such a picture instead.
    """
    total, survey = 0, Survey()
    with _open(path, limits) as archive:
        images = _check_entries(archive, limits)
        files = _listing(archive)
        bad_entries = []
        for name, data in _read(archive, images, limits, path.stat().st_size):
            if isinstance(data, BadEntry):
                bad_entries.append(data)
                if not decode or len(bad_entries) == len(images):
                    raise bad_entries[0]
                survey.unreadable.append(Exclusion(name, data.reason))
                continue
            total += len(data)
            if decode:
                survey.add(name, data)
    unreadable = survey.unreadable
    if unreadable and strict:
        raise ArchiveError(_strict_message(unreadable))
    usable = len(images) - len(unreadable)
    if decode and usable < FEWEST:
        why = f" ({unreadable[0].name[:120]!r}: {unreadable[0].reason})" if unreadable else ""
        raise ArchiveError(
            f"The archive has {usable} usable of {len(images)} pictures{why} and training needs at "
            f"least {FEWEST}, best some thousands."
        )
    left_out = [*files.left_out, *unreadable]
    if decode:
        left_out += labels.read_usable(files.pictures, metadata(path)).unreadable_files
    places = sorted(files.places[each.name] for each in unreadable)
    alike = survey.near_duplicates()
    return ArchiveReport(usable, left_out, total, alike, places, survey.flatness)


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
        pictures = [entry for entry in _files(archive) if is_image_name(entry_name(entry))]
        raise ArchiveError(_first_refusal(pictures) or NO_PICTURES)
    _check_places(images)
    return images


def listing(path: Path) -> Listing:
    """Sort the archive's files by their names alone. Raises ArchiveError."""
    with _open(path, Limits()) as archive:
        return _listing(archive)


def metadata(path: Path) -> dict[str, Callable[[], bytes]]:
    """The archive's files with labels, each with its reader, which raises ArchiveError.

    They are read here, at most LABEL_BYTES of them. Of two with one name the last counts, as where
    the archive is unpacked.
    """
    limits = Limits(file_bytes=label_files.LARGEST_FILE)
    contents: dict[str, bytes | ArchiveError] = {}
    total = 0
    with _open(path, limits) as archive:
        for entry in _label_files(archive):
            content = _read_labels(archive, entry, limits, total)
            total += len(content) if isinstance(content, bytes) else 0
            contents[entry_name(entry)] = content
    return {name: partial(content_of, content) for name, content in contents.items()}


def _read_labels(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limits: Limits, total: int
) -> bytes | ArchiveError:
    """A file of labels, or why it cannot be read. total: bytes of the files before it."""
    if total + entry.file_size > LABEL_BYTES:
        return ArchiveError(f"the archive has more than {LABEL_BYTES:,} bytes of labels")
    try:
        return b"".join(_chunks(archive, entry, limits))
    except ArchiveError as error:
        return error
    except (*BROKEN_ZIP, *UNREADABLE_ZIP) as error:
        return ArchiveError(_not_whole(error))


def content_of(data: bytes | DatasetError) -> bytes:
    """The bytes of an entry; raises the error of one that cannot be read."""
    if isinstance(data, DatasetError):
        raise data
    return data


def _label_files(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    return [entry for entry in _files(archive) if entry_reason(entry) == "labels"]


def _listing(archive: zipfile.ZipFile) -> Listing:
    places, left_out = {}, []
    for place, entry in enumerate(archive.infolist()):
        if _is_folder(entry):
            continue
        reason = entry_reason(entry)
        if reason is None:
            places[entry_name(entry)] = place
        elif reason != "labels":
            left_out.append(Exclusion(entry_name(entry), reason))
    return Listing(sorted(places), sorted(left_out), places)


def _files(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The entries that are no folders. An entry without a name is none either."""
    return [entry for entry in archive.infolist() if not _is_folder(entry)]


def _is_folder(entry: zipfile.ZipInfo) -> bool:
    return entry.filename.endswith(("/", "\\"))


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
) -> Iterator[tuple[str, bytes | BrokenImage]]:
    """Yield the pictures named in `only` (default: all) as (name, bytes), in order of their names.

    One file is in memory at a time. One that cannot be read is the reason (`content_of` raises it),
    as training leaves that out. Raises ArchiveError for a zip bomb.
    """
    with _open(path, limits) as archive:
        images = _images(archive, only)
        for name, data in _read(archive, images, limits, path.stat().st_size):
            yield name, BrokenImage(data.reason) if isinstance(data, BadEntry) else data


@contextmanager
def _open(path: Path, limits: Limits) -> Iterator[zipfile.ZipFile]:
    """Open a zip; whatever its reader finds wrong becomes an ArchiveError."""
    try:
        with BoundedReader(io.FileIO(path), max(CHUNK, limits.entries * LISTING_BYTES)) as file:
            start = file.read(4)
            if start not in STARTS:
                kind = next(
                    (kind for mark, kind in OTHER_SIGNATURES.items() if start.startswith(mark)), ""
                )
                raise zipfile.BadZipFile(f"it does not begin like one{kind}")
            with zipfile.ZipFile(file) as archive:
                yield archive
    except TooManyEntries:
        raise ArchiveError(
            "The archive's list of entries is too long; split it into several."
        ) from None
    except BROKEN_ZIP as error:
        raise ArchiveError(_not_whole(error)) from error
    except UNREADABLE_ZIP as error:
        is_name = isinstance(error, UnicodeDecodeError)
        reason = "a name that is marked as UTF-8 is not" if is_name else str(error)
        raise ArchiveError(
            f"The archive cannot be read ({reason}); zip the pictures again without options."
        ) from error


def _not_whole(error: BaseException) -> str:
    reason = "its end is missing" if str(error) == "File is not a zip file" else str(error)
    return f"The file is not a whole zip archive ({reason}); zip the pictures again."


def _images(archive: zipfile.ZipFile, only: Container[str] | None = None) -> list[zipfile.ZipInfo]:
    """The pictures, of those named in `only`, in order of their names."""
    entries = _files(archive)
    if only is not None:  # first: most entries need no further look then
        entries = [entry for entry in entries if entry_name(entry) in only]
    return sorted((entry for entry in entries if entry_reason(entry) is None), key=entry_name)


def _sentence(entry: zipfile.ZipInfo, reason: str) -> str:
    return f"The entry {entry.orig_filename[:120]!r} {reason}"


def _check_names(entries: list[zipfile.ZipInfo]) -> None:
    names: set[str] = set()
    for entry in entries:
        reason = refusal(entry)
        if reason:
            raise ArchiveError(_sentence(entry, reason))
        if not is_image_name(entry_name(entry)):  # a file of labels may be there twice (`metadata`)
            continue
        # Labels name pictures in either form of Unicode. Names that differ in capitals are two
        # pictures, as in a folder: ids of videos and posts are such names.
        key = to_nfc(entry_name(entry))
        if key in names:
            raise ArchiveError(
                f"The name {entry.filename[:120]!r} is in the archive twice; rename one of the two."
            )
        names.add(key)


def _first_refusal(pictures: list[zipfile.ZipInfo]) -> str | None:
    """Why an archive has no picture that can be read, where it has pictures; else None."""
    if not pictures:
        return None
    if pictures[0].flag_bits & 0x1:
        return _sentence(pictures[0], "is encrypted; zip without a password.")
    return _sentence(pictures[0], "uses an unusual compression; zip with the usual one (deflate).")


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
) -> Iterator[tuple[str, bytes | BadEntry]]:
    """Decompress pictures one by one: (name, bytes), or why one cannot be read.

    Raises ArchiveError where they grow too large together.

    size: the archive's own bytes.
    """
    total = 0
    for entry in images:
        data: bytes | BadEntry
        try:
            data = b"".join(_chunks(archive, entry, limits))
            total += len(data)
        except BadEntry as error:
            data = error
            total += min(entry.file_size, limits.file_bytes)  # decompressed until it failed
        except BROKEN_ZIP as error:
            data = BadEntry(_not_whole(error), "damaged in the archive")
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
                raise BadEntry(
                    f"The picture {entry.filename[:120]!r} has more than {limits.file_bytes:,} "
                    "bytes; save it smaller.",
                    f"more than {limits.file_bytes:,} bytes",
                )
            if size > max(RATIO_COUNTS_FROM, limits.ratio * entry.compress_size):
                raise ArchiveError(
                    f"The entry {entry.filename[:120]!r} unpacks to more than {limits.ratio:g} "
                    "times its size, as only a zip bomb does; leave it out."
                )
            yield chunk
