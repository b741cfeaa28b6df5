"""Finds the pictures that a table of labels names.

Tables and pictures seldom agree letter for letter: macOS decomposes accents, Windows writes
backslashes and other capitals, exports have absolute paths, and a set is converted from JPEG to
PNG or moved into a folder. A looser form counts only where it is unambiguous.
"""

import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from models.datasets.images import EXTENSIONS

_DRIVE = re.compile(r"[A-Za-z]:/|//+|file:/+")


class PictureNames:
    """The pictures of a set, found by the names that a metadata file in `folder` has for them."""

    def __init__(self, names: Sequence[str], folder: str = "") -> None:
        self._names = names
        self._folder = folder
        self._exact = {to_nfc(name): name for name in names}

    def find(self, files: Sequence[str]) -> dict[str, str]:
        """File as the table names it → picture, for the files that have one.

        Exactly; else without case, extension or percent-encoding, or where one path ends in the
        other, if no other picture and no other row could be meant.
        """
        matches, loose = {}, []
        for file in dict.fromkeys(files):
            path = self._path(file)
            if path in self._exact:
                matches[file] = self._exact[path]
            else:
                loose.append(file)
        if loose:
            matches.update(self._find_loosely(loose, set(matches.values())))
        return matches

    def _find_loosely(self, files: Sequence[str], matched_names: set[str]) -> dict[str, str]:
        whole: dict[str, list[str]] = defaultdict(list)
        ends: dict[str, list[str]] = defaultdict(list)
        for name in self._names:
            if name not in matched_names:
                key = _key(name)
                whole[key].append(name)
                for end in _ends(key):
                    ends[end].append(name)
        claims: dict[str, list[str]] = defaultdict(list)
        for file in files:
            key = _key(self._path(unquote(file)))
            candidates = (
                whole.get(key) or ends.get(key) or ends.get(_key(_with_slashes(unquote(file))))
            )
            candidates = candidates or next((whole[end] for end in _ends(key) if end in whole), [])
            if len(candidates) == 1:
                claims[candidates[0]].append(file)
        return {files[0]: picture for picture, files in claims.items() if len(files) == 1}

    def _path(self, file: str) -> str:
        """A row's path from the top of the set."""
        path = posixpath.normpath(posixpath.join(self._folder, _with_slashes(file)))
        return to_nfc(path)

    @staticmethod
    def stem(file: str) -> str:
        """The last part of a path, without its extension, case and percent-encoding."""
        return _key(_with_slashes(unquote(file))).rpartition("/")[2]

    @staticmethod
    def stems(names: Sequence[str]) -> frozenset[str]:
        """The stems of all pictures."""
        return frozenset(PictureNames.stem(name) for name in names)


def to_nfc(text: str) -> str:
    """Text in Unicode's form NFC: letters with accents are one character each."""
    return unicodedata.normalize("NFC", text)


def _with_slashes(file: str) -> str:
    path = file.strip().replace("\\", "/")
    return _DRIVE.sub("", path, count=1) if _DRIVE.match(path) else path.lstrip("/")


def _key(path: str) -> str:
    """A path for loose comparison: without case and a picture's extension."""
    key = to_nfc(path).casefold()
    stem, extension = posixpath.splitext(key)
    return stem if extension in EXTENSIONS else key


def _ends(key: str) -> Iterator[str]:
    """Shorter and shorter ends of a path, from the second part on."""
    parts = key.split("/")
    return ("/".join(parts[place:]) for place in range(1, len(parts)))
