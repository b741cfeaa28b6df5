"""Entries of a zip, judged by their headers: pictures, files to leave out, and dangers."""

import contextlib
import re
import stat
import unicodedata
import zipfile

from models.datasets.file_kinds import reason_to_leave_out
from models.datasets.images import is_hidden, is_image_name
from models.storage.zips import METHODS

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".jar")
LONGEST_NAME = 1000  # characters
UTF_8 = 0x800  # the flag of a name in UTF-8 (APPNOTE 4.4.4, bit 11)
_DRIVE = re.compile(r"[A-Za-z]:/")
_SEPARATOR = re.compile(r"\\(?!\.)")
_SAME_FOLDER = re.compile(r"(^|/)(?:\./)+")

# APPNOTE 4.4.5
OTHER_METHODS = {
    9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ", 98: "PPMd"
}  # fmt: skip


def entry_name(entry: zipfile.ZipInfo) -> str:
    """An entry's name with slashes: Windows' own Compress-Archive writes backslashes.

    Not one before a dot: it is the second byte of a Japanese or Chinese character there. Names in
    UTF-8 without its flag, as macOS writes them, are read as UTF-8. `./` at the start, as tar
    writes it into a zip, means the same folder.
    """
    name = entry.filename
    if not entry.flag_bits & UTF_8:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return _SAME_FOLDER.sub(r"\1", _SEPARATOR.sub("/", name))


def entry_reason(entry: zipfile.ZipInfo) -> str | None:
    """Why an entry is no picture of the set, by its name and its header; None for a picture.

    "labels" and None are for entries that are safe to decompress.
    """
    reason = reason_to_leave_out(entry_name(entry))
    if reason not in (None, "labels"):
        return reason
    if entry.flag_bits & 0x1:
        return "encrypted"
    if entry.compress_type not in METHODS:
        name = OTHER_METHODS.get(entry.compress_type, str(entry.compress_type))
        return f"compression ({name}) is not read"
    return reason


def refusal(entry: zipfile.ZipInfo) -> str | None:
    """Why a zip with this entry is refused, as the rest of a sentence; None: it is safe."""
    name, kind = entry.orig_filename.replace("\\", "/"), stat.S_IFMT(entry.external_attr >> 16)
    is_hidden_file = is_hidden(entry_name(entry))
    if len(name) > LONGEST_NAME:
        return "has too long a name; shorten it."
    # Category Cc alone: ordinary names contain narrow spaces, joiners and direction marks.
    if not is_hidden_file and any(unicodedata.category(character) == "Cc" for character in name):
        return "has a control character in its name; rename it."
    if name.startswith("/") or _DRIVE.match(name):
        return "is an absolute path; zip a folder by its relative name."
    if ".." in name.split("/"):
        return "points outside the archive; zip a folder by its relative name."
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) and is_image_name(entry_name(entry)):
        return "is a link or a device; zip the pictures themselves."
    if name.lower().endswith(ARCHIVES) and not is_hidden_file:
        return "is an archive inside the archive; put its pictures there instead."
    return None
