"""What a report counts, and that the reports of several seeds add up."""

from tests.adversary.checker import Violation
from tests.adversary.history import Fault, Operation, Record, Rest
from tests.adversary.report import Report


def runs(**states: str) -> list[dict[str, str]]:
    return [{"id": id, "state": state} for id, state in states.items()]


ROUNDS: list[list[Record]] = [
    [
        Rest(0, first=True),
        Operation(0, "app-a", "face", "", 1, 2, 200),
        Operation(0, "app-a", "face", "", 1, status=503),
        Operation(0, "app-b", "train", "", 1, answer="ReadError"),
        Operation(0, "app-b", "train", "", 1, 2, 409),
        Fault("kill", "app-a", 1, 2),
        Rest(9, runs=runs(a="succeeded", b="queued")),
    ],
    [
        Rest(10, first=True, runs=runs(a="succeeded", b="queued")),
        Fault("kill", "app-b", 11, 12),
        Rest(19, runs=runs(a="succeeded", b="succeeded", c="cancelled")),
    ],
]


def test_operations_unknown_outcomes_faults_and_new_runs_are_counted() -> None:
    total = Report()
    for records in ROUNDS:
        report = Report(seconds=10.0)
        report.count(records)
        total.add(report)
    assert (total.rounds, total.seconds) == (2, 20.0)
    assert total.answers == {"face 200": 1, "face 503": 1, "train ReadError": 1, "train 409": 1}
    assert total.unknown == {"face": 1, "train": 1}
    assert total.faults == {"kill": 2}
    assert total.states == {"succeeded": 1, "queued": 1, "cancelled": 1}


def test_a_report_names_every_violation_and_its_seed() -> None:
    report = Report(violations=[("seed 7, round 0", Violation("no run is lost", "op-1"))])
    lines = list(report.lines())
    assert "VIOLATION in seed 7, round 0: no run is lost: op-1" in lines
    assert lines[-1] == "1 violations"
