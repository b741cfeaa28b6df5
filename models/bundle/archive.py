"""A bundle as one zip: its files side by side, uncompressed, the same bytes each time."""

import errno
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from models.bundle.format import FILES, LARGEST_FILE
from models.errors import BadBundle
from models.storage import atomic
from models.storage.zips import (
    BROKEN_ZIP,
    METHODS,
    UNREADABLE_ZIP,
    BoundedReader,
    Buffer,
    TooManyEntries,
)

CHUNK = 1 << 20  # bytes that are read at once: of a file, and of the list of entries
OF_THE_PLACE = {*atomic.DISK_ERRORS, errno.ENOENT, errno.EACCES, errno.EISDIR}  # not of the zip
LARGEST = len(FILES) * LARGEST_FILE  # bytes of all files together


def stream(folder: Path) -> Iterator[bytes]:
    """The zip of a bundle's folder in chunks, in constant memory."""
    buffer = Buffer()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.iterdir()):
            # Without the file's time, and with room for the size, which is written later.
            entry = zipfile.ZipInfo(path.name)
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
                    yield buffer.take()
    yield buffer.take()


def unpack(source: Path, folder: Path, largest: int = LARGEST) -> None:
    """Write an archive's files into `folder`. largest: bytes of all of them. Raises BadBundle."""
    try:
        with (
            BoundedReader(io.FileIO(source), CHUNK) as file,
            zipfile.ZipFile(file) as archive,
        ):
            _unpack(archive, folder, largest)
    except TooManyEntries:
        raise BadBundle(
            "This is not a bundle that kao exported: it has too many entries."
        ) from None
    except (*BROKEN_ZIP, *UNREADABLE_ZIP, OSError) as error:
        if isinstance(error, OSError) and error.errno in OF_THE_PLACE:
            raise
        reason = error.strerror if isinstance(error, OSError) else error  # without our paths
        raise BadBundle(f"This is not a bundle that kao exported: {reason}") from None


def _unpack(archive: zipfile.ZipFile, folder: Path, largest: int) -> None:
    total = 0
    if len(set(archive.namelist())) < len(archive.namelist()):
        raise BadBundle("This is not a bundle that kao exported: it has a file twice.")
    for entry in archive.infolist():
        if entry.filename not in FILES or entry.file_size > LARGEST_FILE:
            raise BadBundle(f"{entry.filename[:80]!r} is not a file of a bundle.")
        if entry.compress_type not in METHODS:
            raise BadBundle(f"{entry.filename} is compressed in another way than deflate.")
        with archive.open(entry) as source, (folder / entry.filename).open("xb") as target:
            while chunk := source.read(CHUNK):
                target.write(chunk)
                total += len(chunk)
                if target.tell() > LARGEST_FILE:
                    raise BadBundle(f"{entry.filename} is larger than {LARGEST_FILE} bytes.")
                if total > largest:
                    raise BadBundle(f"The bundle's files have more than {largest:,} bytes.")
