"""Zips: the errors of reading one, and a buffer through which one is streamed."""

import io
import lzma
import zipfile
import zlib
from typing import Any

# What zipfile raises for damaged archives, and for archives that it does not support.
BROKEN_ZIP = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, EOFError)
UNREADABLE_ZIP = (NotImplementedError, RuntimeError, UnicodeDecodeError)


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
