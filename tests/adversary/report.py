"""What came of an attack, counted; attacks of several seeds are added up."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.adversary.checker import Violation
from tests.adversary.history import Fault, Operation, Record, Rest


@dataclass
class Report:
    """Counts of operations (`KIND STATUS`) and faults, and what gave way.

    states: the runs of each round by their state at its end.

    unknown: operations by kind whose outcome the client cannot know: a status of 5xx, or none.
    violations: each with the seed and the round. failures: why an attack could not be carried out.
    """

    rounds: int = 0
    seconds: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[str, Violation]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def count(self, records: Sequence[Record]) -> None:
        """Add the records of one round."""
        self.rounds += 1
        earlier = {
            row["id"] for one in records if isinstance(one, Rest) and one.first for row in one.runs
        }
        for one in records:
            if isinstance(one, Operation):
                self.answers[f"{one.kind} {one.status or one.answer}"] += 1
                self.unknown[one.kind] += not one.is_certain
            elif isinstance(one, Fault):
                self.faults[one.kind] += 1
            elif isinstance(one, Rest) and not one.first:
                self.states += Counter(row["state"] for row in one.runs if row["id"] not in earlier)

    def add(self, other: "Report") -> None:
        """Add the report of another cluster."""
        self.rounds += other.rounds
        self.seconds += other.seconds
        self.answers += other.answers
        self.unknown += other.unknown
        self.faults += other.faults
        self.states += other.states
        self.violations += other.violations
        self.failures += other.failures

    def lines(self) -> Iterator[str]:
        """The report as text."""
        kinds: Counter[str] = Counter()
        for name, count in self.answers.items():
            kinds[name.split()[0]] += count
        yield f"{self.rounds} rounds in {self.seconds:.0f} s; runs {dict(self.states)}"
        yield f"{self.faults.total()} faults {dict(sorted(self.faults.items()))}"
        yield f"{kinds.total()} operations {dict(sorted(kinds.items()))}"
        unknown = {kind: count for kind, count in sorted(self.unknown.items()) if count}
        yield f"{self.unknown.total()} unknown outcomes {unknown}"
        for name, count in sorted(self.answers.items()):
            yield f"  {count:6} {name}"
        for place, violation in self.violations:
            yield f"VIOLATION in {place}: {violation.rule}: {violation.detail[:2000]}"
        for failure in self.failures:
            yield f"NOT CARRIED OUT: {failure}"
        yield f"{len(self.violations)} violations"
