"""Which files of a dataset are pictures, and why the others are left out."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from models.datasets.images import EXTENSIONS, is_hidden
from models.datasets.label_files import is_metadata

EXAMPLES = 20  # names for each reason
UNREAD = frozenset(
    {
        ".jxl", ".jp2", ".j2k", ".svg", ".psd", ".xcf", ".kra", ".clip", ".procreate", ".ico",
        ".tga", ".exr", ".hdr", ".dds", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf",
        ".rw2",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Reason:
    """Why files are left out, how many, and the first of them by name."""

    reason: str
    count: int
    examples: list[str]


def reason_to_leave_out(name: str) -> str | None:
    """Why a file with this slash-separated name is no picture of the set; None for a picture.

    Metadata files give labels and are no pictures either: "labels".
    """
    if is_hidden(name):
        return "hidden, thumbnail or trash"
    if is_metadata(name):
        return "labels"
    extension = _extension(name)
    if extension in EXTENSIONS:
        return None
    if extension in UNREAD:
        return f"{extension[1:].upper()} is not read"
    return "no picture by its name"


def summarise(files: Iterable[tuple[str, str]]) -> list[Reason]:
    """(name, reason) of files that are left out → by reason, the most frequent first."""
    names = defaultdict(list)
    for name, reason in files:
        names[reason].append(name)
    counts = Counter({reason: len(paths) for reason, paths in names.items()})
    return [
        Reason(reason, count, [_printable(name) for name in sorted(names[reason])[:EXAMPLES]])
        for reason, count in counts.most_common()
    ]


def _printable(name: str) -> str:
    """A name without the control characters that a terminal would obey."""
    return "".join("?" if unicodedata.category(each) == "Cc" else each for each in name)


def _extension(name: str) -> str:
    file = name.rpartition("/")[2].lower()
    return file[file.rfind(".") :] if "." in file else ""
