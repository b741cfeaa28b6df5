"""Exclusions: the files and label columns of a dataset that training does not use."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

EXAMPLES = 20  # names for each reason
MOST_SHOWN = 5  # of them on a terminal


class Exclusion(NamedTuple):
    """A picture, another file or a column of labels, and why it is not used."""

    name: str
    reason: str


@dataclass(frozen=True)
class Reason:
    """Why files are left out, how many, and the first of them by name."""

    reason: str
    count: int
    examples: list[str]

    def describe(self) -> str:
        """A line for a terminal, with the first names."""
        files = "1 file" if self.count == 1 else f"{self.count:,} files"
        ellipsis = ", …" if self.count > MOST_SHOWN else ""
        return f"left out {files}, {self.reason}: {', '.join(self.examples[:MOST_SHOWN])}{ellipsis}"


def summarise(exclusions: Iterable[Exclusion]) -> list[Reason]:
    """The exclusions by reason, the most frequent first."""
    names = defaultdict(list)
    for name, reason in exclusions:
        names[reason].append(name)
    counts = Counter({reason: len(group) for reason, group in names.items()})
    return [
        Reason(reason, count, [_printable(name) for name in sorted(names[reason])[:EXAMPLES]])
        for reason, count in counts.most_common()
    ]


def _printable(name: str) -> str:
    """A name without the control characters that a terminal would obey."""
    return "".join("?" if unicodedata.category(each) == "Cc" else each for each in name)
