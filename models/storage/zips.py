"""Zips: reading one within limits, its errors, and a buffer through which one is streamed."""

import io
import lzma
import os
import zipfile
import zlib
from typing import Any

# What zipfile raises for damaged archives, and for archives that it does not support.
BROKEN_ZIP = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, EOFError)
UNREADABLE_ZIP = (NotImplementedError, RuntimeError, UnicodeDecodeError)
# What every zip tool writes. LZMA and bzip2 take up to 4 GiB of memory, or minutes: zipfile
# decompresses a whole block of theirs at a time.
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


class TooManyEntries(Exception):
    """An archive's list of entries is longer than its reader allows."""


class BoundedReader(io.BufferedReader):
    """A file that reads at most `most` bytes at once.

    zipfile reads an archive's list of entries in one go, whatever its length, and keeps ten times
    as much memory.
    """

    def __init__(self, file: io.FileIO, most: int) -> None:
        super().__init__(file)
        self.most = most

    def read(self, size: int | None = -1, /) -> bytes:
        """As a file's, at most to its end. Raises TooManyEntries."""
        remaining = os.fstat(self.fileno()).st_size - self.tell()
        size = remaining if size is None or size < 0 else min(size, remaining)
        if size > self.most:
            raise TooManyEntries
        return super().read(max(0, size))


class Buffer(io.RawIOBase):
    """A write-only file whose content is taken away while a zip is written into it."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._bytes += content
        return len(content)

    def take(self) -> bytes:
        """The bytes written since the last call."""
        content = bytes(self._bytes)
        self._bytes.clear()
        return content
