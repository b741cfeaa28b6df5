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
from functools import cache, cached_property
from urllib.parse import unquote

from models.datasets.images import EXTENSIONS

_DRIVE = re.compile(r"[A-Za-z]:/|//+|file:/+")
_QUERY = re.compile(r"(https?://[^?#]*)[?#].*", re.IGNORECASE | re.DOTALL)
_NUMBER = re.compile(r"0*(\d+)(\.0)?")
MOST_ENDS = 16  # of a path that may be another one's; zips have paths of 500 folders


class PictureNames:
    """The pictures of a set, found by the names that tables of labels have for them."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._exact = {to_nfc(name): name for name in names}

    @cached_property
    def stems(self) -> frozenset[str]:
        """The stems of all pictures."""
        return frozenset(self.stem(name) for name in self._names)

    def find(self, files: Sequence[str], folder: str = "") -> dict[str, str]:
        """File as a table in `folder` names it → picture, for the files that have one.

        Exactly; else without case, extension or percent-encoding, or where one path ends in the
        other, or as a number without zeros before it, if no other picture and no other row could
        be meant.
        """
        matches, loose = {}, []
        for file in dict.fromkeys(files):
            path = _from_top(folder, file)
            if path in self._exact:
                matches[file] = self._exact[path]
            else:
                loose.append(file)
        if loose:
            matches.update(self._find_loosely(loose, folder, set(matches.values())))
        return matches

    @cached_property
    def _index(self) -> dict[str, dict[str, list[str]]]:
        """The pictures by their paths, by the ends of these, and by numbers, in loose forms."""
        whole: dict[str, list[str]] = defaultdict(list)
        ends: dict[str, list[str]] = defaultdict(list)
        numbers: dict[str, list[str]] = defaultdict(list)  # 001 is 1 once Excel has saved it
        for name in self._names:
            key = _key(name)
            whole[key].append(name)
            for end in _ends(key):
                ends[end].append(name)
            if number := _numbered(key):
                for end in {number, number.rpartition("/")[2]}:
                    numbers[end].append(name)
        return {"whole": whole, "ends": ends, "numbers": numbers}

    def _find_loosely(
        self, files: Sequence[str], folder: str, matched_names: set[str]
    ) -> dict[str, str]:
        start = f"{to_nfc(folder).casefold()}/" if folder else ""

        @cache
        def find(kind: str, key: str) -> list[str]:
            return [n for n in self._index[kind].get(key, ()) if n not in matched_names]

        def find_end(key: str, start: str = "") -> list[str]:
            found = (find("whole", f"{start}{end}") for end in _ends(key))
            return next(filter(None, found), [])

        claims: dict[str, list[str]] = defaultdict(list)
        for file in files:
            path = unquote(file)
            key, own_key = _key(_from_top(folder, path)), _key(_with_slashes(path))
            candidates = (
                find("whole", key)
                or find("ends", key)
                or find("ends", own_key)
                or find_end(key)
                or find_end(own_key, start)
                or find("numbers", _numbered(key))
                or find("numbers", _numbered(own_key))
            )
            if len(candidates) == 1:
                claims[candidates[0]].append(file)
        return {files[0]: picture for picture, files in claims.items() if len(files) == 1}

    @staticmethod
    def stem(file: str) -> str:
        """The last part of a path, without its extension, case and percent-encoding."""
        return _key(_with_slashes(unquote(file))).rpartition("/")[2]


def _from_top(folder: str, file: str) -> str:
    """The path from the top of the set of a row in `folder`."""
    return to_nfc(posixpath.normpath(posixpath.join(folder, _with_slashes(file))))


def to_nfc(text: str) -> str:
    """Text in Unicode's form NFC: letters with accents are one character each."""
    return unicodedata.normalize("NFC", text)


def _with_slashes(file: str) -> str:
    path = _QUERY.sub(r"\1", file).strip().replace("\\", "/")
    return _DRIVE.sub("", path, count=1) if _DRIVE.match(path) else path.lstrip("/")


def _key(path: str) -> str:
    """A path for loose comparison: without case and a picture's extension."""
    key = to_nfc(path).casefold()
    stem, extension = posixpath.splitext(key)
    return stem if extension in EXTENSIONS else key


def _numbered(key: str) -> str:
    """A path whose last part is a number, without zeros before that; "" for other paths."""
    folder, slash, stem = key.rpartition("/")
    match = _NUMBER.fullmatch(stem)
    return f"{folder}{slash}{match[1]}" if match else ""


def _ends(key: str) -> Iterator[str]:
    """Shorter and shorter ends of a path, from the second part on; MOST_ENDS of a longer one."""
    parts = key.rsplit("/", MOST_ENDS)
    return ("/".join(parts[place:]) for place in range(1, len(parts)))
