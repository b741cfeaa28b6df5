"""A folder of pictures on this machine, subfolders and links to folders included."""

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from models.datasets import labels
from models.datasets.exclusions import Exclusion
from models.datasets.file_kinds import reason_to_leave_out
from models.datasets.images import FORMAT_NAMES, MIN_SIDE
from models.datasets.labels import LabelTable
from models.errors import DatasetError
from worker.datasets.file_source import FileSource
from worker.datasets.source import Contents, NamedFile, Part
from worker.datasets.starter_attributes import EDITIONS

VERSION = "folder-8"  # raise it whenever the same files give other pixels or labels


class FolderSource(FileSource):
    """Every picture below `path`, by its slash-separated name relative to it."""

    @cached_property
    def _files(self) -> dict[str, Path]:
        return dict(_walk(self.path, self._unreadable))

    @cached_property
    def _unreadable(self) -> list[Exclusion]:
        """Folders that the system refuses to list, and links to nothing; filled by `_files`."""
        return []

    @cached_property
    def _reasons(self) -> dict[str, str | None]:
        """Why each file is no picture, in the order of names; None for a picture."""
        return {name: reason_to_leave_out(name) for name in sorted(self._files)}

    def contents(self, part: Part, size: int) -> Contents:
        """The pictures, and the other files with reasons. Raises DatasetError for no picture."""
        names = part.choose(self._pictures())
        left_out = [
            Exclusion(name, reason)
            for name, reason in self._reasons.items()
            if reason is not None and reason != "labels"
        ]
        left_out += self._unreadable
        if not names:
            if self._unreadable:
                first = self._unreadable[0]
                raise DatasetError(
                    f"The folder {self.name!r} has no pictures ({first.name!r}: {first.reason}); "
                    f"put {FORMAT_NAMES} files in it."
                )
            raise DatasetError(
                f"The folder {self.name!r} has no pictures; put {FORMAT_NAMES} files in it."
            )
        stats = [(name, self._files[name].stat()) for name in [*names, *self._metadata()]]
        listing = [(name, status.st_size, status.st_mtime_ns) for name, status in stats]
        least = [part.least] if part.least != MIN_SIDE else []
        key = json.dumps([VERSION, str(self.path.resolve()), listing, *least])
        return Contents(hashlib.sha256(key.encode()).hexdigest(), names, left_out)

    def label_table(self, without: Collection[str] = ()) -> LabelTable:
        """The labels of every picture but those of `without`, whatever part is packed."""
        readers = {name: self._files[name].read_bytes for name in self._metadata()}
        return labels.read_usable(self._pictures_but(without), readers)

    def _open(self, names: Sequence[str]) -> Iterator[NamedFile]:
        return ((name, self._files[name]) for name in names)

    def _pictures(self) -> list[str]:
        return [name for name, reason in self._reasons.items() if reason is None]

    def _metadata(self) -> list[str]:
        return [name for name, reason in self._reasons.items() if reason == "labels"]


def recognise(source: str | Path, name: str | None, licence: str) -> FolderSource | None:
    """The folder at a path; None where there is none, and for the name of a built-in set."""
    path = Path(source)
    if source in EDITIONS:  # ./starter is the folder
        return None
    return FolderSource(path, name or path.resolve().name, licence) if path.is_dir() else None


def _walk(root: Path, unreadable: list[Exclusion]) -> Iterator[tuple[str, Path]]:
    """(relative name, path) of every file; a folder that a link leads back to is read once.

    Folders and links that the system refuses are added to `unreadable`.
    """
    folder_ids: set[tuple[int, int]] = set()

    def refuse(error: OSError) -> None:
        name = os.path.relpath(os.fsdecode(error.filename), root)
        unreadable.append(Exclusion(name, f"cannot be read: {error.strerror}"))

    for folder, folders, files in os.walk(root, followlinks=True, onerror=refuse):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in folder_ids:
            folders.clear()
            continue
        folder_ids.add((status.st_dev, status.st_ino))
        folders.sort()
        for file in files:
            path = Path(folder, file)
            try:
                is_file = path.is_file()
            except OSError as error:
                refuse(error)
                continue
            name = path.relative_to(root).as_posix()
            if is_file:
                yield name, path
            elif path.is_symlink() and reason_to_leave_out(name) in (None, "labels"):
                unreadable.append(Exclusion(name, "a link to a file that is not there"))
