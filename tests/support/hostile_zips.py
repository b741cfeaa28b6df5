"""Uploads that no honest person makes, each generated, and a word of why it is refused."""

import gzip
import io
import pickle
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable

from PIL import Image

MOST = 64 << 20  # bytes of the largest one


def picture(format: str = "PNG", size: tuple[int, int] = (16, 16)) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", size, "red").save(target, format)
    return target.getvalue()


GOOD = ("good.png", picture())
Entry = tuple[str | zipfile.ZipInfo, bytes]


def zipped(*entries: Entry, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(target, "w", method) as archive:
        warnings.simplefilter("ignore", UserWarning)  # zipfile warns of duplicates
        for name, data in entries:
            archive.writestr(name, data, method)
    return target.getvalue()


def exactly(name: str) -> zipfile.ZipInfo:
    """A name that zipfile leaves alone."""
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name
    return info


def special(kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("a.png")
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    return info


def patch(content: bytes, local: int, central: int, value: bytes) -> bytes:
    """A zip of one entry with some bytes of both of its headers changed."""
    data = bytearray(content)
    for start, offset in ((0, local), (data.find(b"PK\x01\x02"), central)):
        data[start + offset : start + offset + len(value)] = value
    return bytes(data)


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises a size; its pixels are not there."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    last_chunks = chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + last_chunks


def gif_header(width: int, height: int) -> bytes:
    data = bytearray(picture("GIF"))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def bmp_header(width: int, height: int) -> bytes:
    data = bytearray(picture("BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def overlapping() -> bytes:
    """Two entries of which the first's data has the whole second within (Fifield, WOOT 2019)."""
    inner = zipped(("b.bmp", bytes(1 << 16)))
    inner = inner[: inner.find(b"PK\x01\x02")]
    data = zipped(("a.bmp", inner), method=zipfile.ZIP_STORED)
    directory = data.find(b"PK\x01\x02")
    header = bytearray(zipped(("b.bmp", bytes(1 << 16))))
    second = header[header.find(b"PK\x01\x02") : header.find(b"PK\x05\x06")]
    second[42:46] = struct.pack("<I", data.find(inner))
    whole = data[: data.find(b"PK\x05\x06")] + bytes(second)
    size = len(whole) - directory
    return whole + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, size, directory, 0)


def long_list(entries: int) -> bytes:
    """Nothing but a list of entries, which would take gigabytes of memory when read."""
    one = struct.pack("<4s4B4H3L5H2L", b"PK\x01\x02", *([20, 3, 20, 0]), *([0] * 4), *([0] * 10))
    directory = one * entries
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, len(directory), 4, 0)
    return b"PK\x03\x04" + directory + end


BAD_NAME = patch(zipped(("\u00e9.png", picture())), 30, 46, b"\xff\xfe")
KINDS: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "whole zip"),
    "text": (lambda: b"no zip at all " * 99, "whole zip"),
    "a picture": (picture, "whole zip"),
    "gzip": (lambda: gzip.compress(picture()), "whole zip"),
    "cut short": (lambda: zipped(GOOD)[:-30], "whole zip"),
    "wrong checksum": (lambda: patch(zipped(GOOD), 14, 16, b"crc!"), "whole zip"),
    "a program before it": (lambda: b"MZ" + bytes(998) + zipped(GOOD), "begin"),
    "a page before it": (lambda: b"<script>alert(1)</script>" + zipped(GOOD), "begin"),
    "no entries": (lambda: zipped(), "no pictures"),
    "no pictures": (lambda: zipped(("a.txt", b"x"), ("b.php", b"<?php")), "no pictures"),
    "absolute": (lambda: zipped(GOOD, ("/etc/a.png", picture())), "absolute"),
    "drive": (lambda: zipped(GOOD, ("C:/a.png", picture())), "absolute"),
    "parent": (lambda: zipped(GOOD, ("../a.png", picture())), "outside"),
    "parent inside": (lambda: zipped(GOOD, ("a/../../b.png", picture())), "outside"),
    "backslash": (lambda: zipped(GOOD, (exactly("..\\a.png"), picture())), "outside"),
    "terminal codes": (lambda: zipped(GOOD, ("a\x1b[2J.png", picture())), "control character"),
    "line feed": (lambda: zipped(GOOD, ("a\n.png", picture())), "control character"),
    "long name": (lambda: zipped(GOOD, ("a" * 9000 + ".png", picture())), "too long a name"),
    "name of no text": (lambda: BAD_NAME, "cannot be read"),
    "symbolic link": (lambda: zipped(GOOD, (special(stat.S_IFLNK), b"/etc/passwd")), "link"),
    "pipe": (lambda: zipped(GOOD, (special(stat.S_IFIFO), b"")), "device"),
    "device": (lambda: zipped(GOOD, (special(stat.S_IFBLK), b"")), "device"),
    "encrypted": (lambda: patch(zipped(GOOD), 6, 8, b"\x01"), "encrypted"),
    "deflate64": (lambda: patch(zipped(GOOD), 8, 10, b"\x09\x00"), "compression"),
    "lzma": (lambda: zipped(GOOD, method=zipfile.ZIP_LZMA), "compression"),
    "bzip2": (lambda: zipped(GOOD, method=zipfile.ZIP_BZIP2), "compression"),
    "twice": (lambda: zipped(GOOD, GOOD), "twice"),
    "twice but for form": (
        lambda: zipped(("\u00e9.png", picture()), ("e\u0301.png", picture())),
        "twice",
    ),
    "zip within": (lambda: zipped(GOOD, ("more.zip", zipped(GOOD))), "inside the archive"),
    "tar within": (lambda: zipped(GOOD, ("more.tar.gz", b"x")), "inside the archive"),
    "bomb": (lambda: zipped(GOOD, ("bomb.bmp", bytes(30 << 20))), "zip bomb"),
    "many small bombs": (
        lambda: zipped(*((f"{n}.bmp", bytes((1 << 20) - 1)) for n in range(40))),
        "zip bomb",
    ),
    "a large file": (
        lambda: zipped(("a.bmp", bytes(33 << 20)), method=zipfile.ZIP_STORED),
        "save it smaller",
    ),
    "a size that lies": (
        lambda: patch(zipped(("a.bmp", bytes(8 << 20))), 22, 24, struct.pack("<I", 100)),
        "whole zip",
    ),
    "entries that overlap": (overlapping, "overlaps"),
    "a million entries": (lambda: long_list(1_000_000), "list of entries"),
    "half a million entries": (lambda: long_list(500_000), "entries"),
    "100 MP PNG": (lambda: zipped(("a.png", png_header(10_000, 10_000))), "more than 16,000,000"),
    "endless PNG": (lambda: zipped(("a.png", png_header(2**31 - 1, 2**31 - 1))), "16,000,000"),
    "4 GP GIF": (lambda: zipped(("a.gif", gif_header(65_535, 65_535))), "more than 16,000,000"),
    "100 MP BMP": (lambda: zipped(("a.bmp", bmp_header(10_000, 10_000))), "more than 16,000,000"),
    "65 MP JPEG": (lambda: zipped(("a.jpg", picture("JPEG", (8100, 8000)))), "64,000,000 pixels"),
    "25 MP WebP": (lambda: zipped(("a.webp", picture("WEBP", (5000, 5000)))), "16,000,000 pixels"),
    "SVG by another name": (lambda: zipped(("a.png", b"<svg onload='x()'/>")), "format we read"),
    "page by another name": (lambda: zipped(("a.jpg", b"<html></html>")), "format we read"),
    "PCX by another name": (lambda: zipped(("a.png", picture("PCX"))), "format we read"),
    "icon by another name": (lambda: zipped(("a.png", picture("ICO"))), "format we read"),
    "EPS by another name": (lambda: zipped(("a.png", b"%!PS-Adobe-3.0 EPSF")), "format we read"),
    "pickle by another name": (lambda: zipped(("a.png", pickle.dumps([1]))), "format we read"),
    "an empty picture": (lambda: zipped(GOOD, ("a.png", b"")), "format we read"),
}
