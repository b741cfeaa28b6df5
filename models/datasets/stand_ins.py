"""Recognises what lies where a picture or a table should be, by its first bytes."""

LONGEST = 64  # bytes that are looked at
# What downloads leave, and files that people rename. Small letters, without leading white space.
_BEGINNINGS = {
    b"version https://git-lfs": "a pointer of Git LFS", b"<!doctype": "a page of the web",
    b"<html": "a page of the web", b"<svg": "SVG", b"<?xml": "XML", b"%pdf": "PDF",
    b"8bps": "PSD", b"gif8": "GIF", b"\x89png": "PNG", b"\xff\xd8\xff": "JPEG",
    b"\xff\n": "JPEG XL", b"\0\0\0\x0cjxl ": "JPEG XL", b"\0\0\0\x0cjp  ": "JPEG 2000",
    b"pk\x03\x04": "a zip or a spreadsheet", b"\xd0\xcf\x11\xe0": "an old spreadsheet",
    b"\x1f\x8b": "gzip", b"\0\0\x01\0": "an icon",
}  # fmt: skip
_FILMS = (b"ftypisom", b"ftypmp4", b"ftypqt", b"ftypm4v", b"ftypiso")


def stand_in(start: bytes) -> str | None:
    """What a file is that begins with `start`; None where nothing is known.

    start: at least LONGEST bytes, or the whole file.
    """
    if not start:
        return "an empty file"
    text = start[:LONGEST].removeprefix(b"\xef\xbb\xbf")
    if len(text) >= 8 and not text.strip(b"\0"):
        return "null bytes"
    text = (text.lstrip(b" \t\r\n") or text).lower()
    if text[4:].startswith(_FILMS):
        return "a film"
    return next((kind for start, kind in _BEGINNINGS.items() if text.startswith(start)), None)
