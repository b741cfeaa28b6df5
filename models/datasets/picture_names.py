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


class Pictures:
    """The pictures of a set, by what a metadata file in `folder` may call them."""

    def __init__(self, names: Sequence[str], folder: str = "") -> None:
        self._names = names
        self._folder = folder
        self._exact = {composed(name): name for name in names}

    def find(self, files: Sequence[str]) -> dict[str, str]:
        """File as the table has it → picture, for those that are found.

        Exactly; else without case, extension or percent-encoding, or where one path ends in the
        other, if no other picture and no other row could be meant.
        """
        found, loose = {}, []
        for file in dict.fromkeys(files):
            path = self._path(file)
            if path in self._exact:
                found[file] = self._exact[path]
            else:
                loose.append(file)
        if loose:
            found.update(self._find_loosely(loose, set(found.values())))
        return found

    def _find_loosely(self, files: Sequence[str], taken: set[str]) -> dict[str, str]:
        whole: dict[str, list[str]] = defaultdict(list)
        ends: dict[str, list[str]] = defaultdict(list)
        for name in self._names:
            if name not in taken:
                key = _key(name)
                whole[key].append(name)
                for end in _ends(key):
                    ends[end].append(name)
        claims: dict[str, list[str]] = defaultdict(list)
        for file in files:
            key = _key(self._path(unquote(file)))
            candidates = whole.get(key) or ends.get(key) or ends.get(_key(_slashed(unquote(file))))
            candidates = candidates or next((whole[end] for end in _ends(key) if end in whole), [])
            if len(candidates) == 1:
                claims[candidates[0]].append(file)
        return {files[0]: picture for picture, files in claims.items() if len(files) == 1}

    def _path(self, file: str) -> str:
        """A row's path from the top of the set."""
        path = posixpath.normpath(posixpath.join(self._folder, _slashed(file)))
        return composed(path)

    @staticmethod
    def stem(file: str) -> str:
        """The last part of a path, without its extension, case and percent-encoding."""
        return _key(_slashed(unquote(file))).rpartition("/")[2]

    @staticmethod
    def stems(names: Sequence[str]) -> frozenset[str]:
        """Those of all pictures."""
        return frozenset(Pictures.stem(name) for name in names)


def composed(text: str) -> str:
    """Letters with accents as one character each (NFC)."""
    return unicodedata.normalize("NFC", text)


def _slashed(file: str) -> str:
    path = file.strip().replace("\\", "/")
    return _DRIVE.sub("", path, count=1) if _DRIVE.match(path) else path.lstrip("/")


def _key(path: str) -> str:
    """Without case and a picture's extension."""
    key = composed(path).casefold()
    stem, extension = posixpath.splitext(key)
    return stem if extension in EXTENSIONS else key


def _ends(key: str) -> Iterator[str]:
    """Shorter and shorter ends of a path, from the second part on."""
    parts = key.split("/")
    return ("/".join(parts[place:]) for place in range(1, len(parts)))
