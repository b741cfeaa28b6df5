"""Exclusions: the files and label columns of a dataset that training does not use."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

EXAMPLES = 20  # names for each reason
MOST_REASONS = 20  # the others are one; decoders have any number of words for broken data
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
    """The exclusions by reason, the most frequent first, MOST_REASONS of them."""
    names = defaultdict(list)
    for name, reason in exclusions:
        names[reason].append(name)
    groups = sorted(names.items(), key=lambda item: -len(item[1]))
    if len(groups) > MOST_REASONS:
        other_names = [name for _, group in groups[MOST_REASONS - 1 :] for name in group]
        groups[MOST_REASONS - 1 :] = [("other reasons", other_names)]
    return [
        Reason(reason, len(group), [printable(name) for name in sorted(group)[:EXAMPLES]])
        for reason, group in groups
    ]


def printable(name: str) -> str:
    """A name without the control characters that a terminal would obey."""
    return "".join("?" if unicodedata.category(each) == "Cc" else each for each in name)
