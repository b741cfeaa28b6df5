"""The history of one run: what clients sent and got, what was broken when, and what was left.

It is a file of JSON lines, one record a line, so that it can be judged again later.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

READS = ("read_default", "key.use", "dataset.read", "rest")  # what changes no object in any state
NO_EFFECT = range(400, 500)  # statuses of refusals, which change nothing


@dataclass(frozen=True)
class Operation:
    """One request and its answer. Times are seconds of the driver's monotonic clock.

    subject: what it is about, e.g. the id of a key. status: None without an answer; `end` is then
    infinite, because the request may take effect at any later time.
    """

    client: int
    server: str
    kind: str
    subject: str
    start: float
    end: float = math.inf
    status: int | None = None
    value: Any = None
    answer: Any = None

    @property
    def is_certain(self) -> bool:
        """Whether the answer says what happened; after a 5xx it may have happened or not."""
        return self.status is not None and self.status < 500

    @property
    def is_read(self) -> bool:
        return self.kind in READS

    @property
    def is_success(self) -> bool:
        return self.status is not None and self.status < 300


@dataclass(frozen=True)
class Fault:
    """One fault, from `start` until it was mended at `end`."""

    kind: str
    target: str
    start: float
    end: float


@dataclass(frozen=True)
class Rest:
    """What the database said while all was quiet, before (`first`) or after the operations.

    runs: id, name (the label of the request that made it), state, version, number. events: by run,
    (number, type). keys: id to whether it is revoked. promotions: every version that `default`
    named, the oldest first. datasets: name to digest. blobs: damaged or missing files of datasets
    and models that the database names.
    """

    start: float
    first: bool = False
    runs: list[dict[str, Any]] = field(default_factory=list)
    events: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    keys: dict[str, bool] = field(default_factory=dict)
    promotions: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    datasets: dict[str, str] = field(default_factory=dict)
    blobs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Probe:
    """What had to work again after all faults were mended; the reason where it did not."""

    what: str
    start: float
    end: float
    reason: str | None = None


Record = Operation | Fault | Rest | Probe
KINDS: dict[str, type[Record]] = {
    kind.__name__: kind for kind in (Operation, Fault, Rest, Probe)
}  # fmt: skip


def dump(record: Record) -> str:
    """One line of the file."""
    fields = {name: None if value == math.inf else value for name, value in asdict(record).items()}
    return json.dumps({"record": type(record).__name__, **fields})


def parse(line: str) -> Record:
    """A line's record."""
    fields = json.loads(line)
    kind = KINDS[fields.pop("record")]
    if "end" in fields and fields["end"] is None:
        fields["end"] = math.inf
    if kind is Rest:
        fields["events"] = {
            run: [(number, type) for number, type in events]
            for run, events in fields["events"].items()
        }
    return kind(**fields)


def write(path: Path, records: Iterable[Record]) -> None:
    """Append records to a history's file."""
    with path.open("a") as file:
        file.writelines(f"{dump(record)}\n" for record in records)


def read(path: Path) -> Iterator[Record]:
    """Every record of a file, in its order."""
    with path.open() as file:
        yield from map(parse, file)
