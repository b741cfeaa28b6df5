"""Recognises what lies where a picture or a table should be, by its first bytes."""

from itertools import chain

LONGEST = 64  # bytes that are looked at
# Small letters: what downloads leave, perhaps below a byte order mark and blank lines.
_TEXTS = {
    b"version https://git-lfs": "a pointer of Git LFS", b"<!doctype": "a page of the web",
    b"<html": "a page of the web", b"<svg": "SVG", b"<?xml": "XML",
}  # fmt: skip
_SIGNATURES = {
    b"%PDF": "PDF", b"8BPS": "PSD", b"GIF8": "GIF", b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG",
    b"\xff\n": "JPEG XL", b"\0\0\0\x0cJXL ": "JPEG XL", b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"PK\x03\x04": "a zip or a spreadsheet", b"\xd0\xcf\x11\xe0": "an old spreadsheet",
    b"\x1f\x8b": "gzip", b"\0\0\x01\0": "an icon",
}  # fmt: skip
_FILMS = (b"ftypisom", b"ftypmp4", b"ftypqt", b"ftypM4V", b"ftypiso")


def stand_in(start: bytes) -> str | None:
    """What a file is that begins with `start`; None where nothing is known.

    start: at least LONGEST bytes, or the whole file.
    """
    if not start:
        return "an empty file"
    start = start[:LONGEST]
    if len(start) >= 8 and not start.strip(b"\0"):
        return "null bytes"
    if start[4:].startswith(_FILMS):
        return "a film"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").lower()
    texts = (kind for beginning, kind in _TEXTS.items() if text.startswith(beginning))
    signatures = (kind for mark, kind in _SIGNATURES.items() if start.startswith(mark))
    return next(chain(texts, signatures), None)
