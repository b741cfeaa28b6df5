"""The judge itself: histories written by hand, good ones and one of each bad kind."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from tests.adversary import history
from tests.adversary.checker import check
from tests.adversary.history import Fault, Operation, Probe, Record, Rest

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
EVENTS = [(1, "run.queued"), (2, "run.started"), (3, "snapshot.written"), (4, "run.succeeded")]


def operation(kind: str, at: float, **fields: Any) -> Operation:
    """One that took a second, and succeeded."""
    usual = {"client": 0, "server": "app-a", "subject": "", "end": at + 1, "status": 200}
    return Operation(kind=kind, start=at, **{**usual, **fields})


def unanswered(kind: str, at: float, **fields: Any) -> Operation:
    return operation(kind, at, **{"end": math.inf, "status": None, **fields})


def run(id: str, label: str, state: str = "succeeded", version: str | None = C) -> dict[str, Any]:
    return {"id": id, "name": label, "state": state, "version": version, "number": 1}


def face(at: float, version: str, name: str = "default", **fields: Any) -> Operation:
    return operation(
        "face",
        at,
        subject=f"seed@{name}",
        value="right",
        **{"answer": {"version": version, "bytes": "right"}, **fields},
    )


BEFORE = Rest(0.0, first=True, promotions=[A], versions=[A, B], keys={"old": True})
AFTER = Rest(
    100.0,
    promotions=[A, B],
    versions=[A, B, C],
    keys={"old": True, "k": True},
    runs=[run("r1", "op-1"), run("r2", "op-2", "cancelled", None)],
    events={"r1": EVENTS, "r2": [(1, "run.queued"), (2, "run.cancelled")]},
    datasets={"set": "d1"},
)
GOOD: list[Record] = [
    BEFORE,
    operation("train", 1, value="op-1", answer="r1", status=202),
    operation("train", 2, subject="i1", value="op-2", answer="r2", status=202),
    operation("train", 2.5, subject="i1", value="op-2", answer="r2", status=202),
    operation("train", 4, subject="i1", value="op-3", status=409),
    operation("cancel", 5, subject="r2", answer="cancelled", status=202),
    operation("key.create", 5, subject="k", status=201),
    operation("key.use", 6.5, subject="k"),
    operation("key.revoke", 8, subject="k", status=204),
    operation("key.use", 8.5, subject="k", status=401),
    operation("key.use", 9.5, subject="k", status=401),
    operation("promote", 10, value=B, answer=B),
    operation("read_default", 10.5, answer=A),
    operation("read_default", 12, answer=B),
    operation("promote", 13, value=A, answer=A),
    unanswered("roll_back", 15),
    face(30, B),
    face(31, A, A),
    operation("dataset.upload", 20, subject="set", value="d1", status=201),
    operation("dataset.delete", 22, subject="set", status=409),
    unanswered("dataset.delete", 24, subject="set"),
    Fault("kill", "worker-a", 3, 6),
    Probe("app-a is ready", 90, 92),
    AFTER,
]


def test_a_good_history_has_no_violation() -> None:
    assert check(GOOD) == []


def test_a_history_is_written_and_read_without_a_loss(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history.write(path, GOOD[:5])
    history.write(path, GOOD[5:])
    assert list(history.read(path)) == GOOD


def after(**fields: Any) -> Record:
    return dataclasses.replace(AFTER, **fields)


@pytest.mark.parametrize(
    ("rule", "bad"),
    [
        ("no run is lost", [operation("train", 1, value="op-9", answer="r9", status=202)]),
        ("no run is lost", [after(runs=[run("r2", "op-2", "cancelled", None)])]),
        ("no run is made twice", [operation("train", 7, value="op-1", answer="r1", status=202)]),
        ("no run is made twice", [after(runs=[*AFTER.runs, run("r3", "op-1", version=None)])]),
        ("events are numbered without a gap", [after(events={**AFTER.events, "r1": EVENTS[1:]})]),
        (
            "states follow the table",
            [after(events={**AFTER.events, "r1": [*EVENTS, (5, "run.started")]})],
        ),
        (
            "a run publishes once",
            [after(events={**AFTER.events, "r1": [*EVENTS, (5, "run.succeeded")]})],
        ),
        ("the last event is the state", [after(events={**AFTER.events, "r1": EVENTS[:3]})]),
        ("no cancellation is lost", [after(runs=[AFTER.runs[0], run("r2", "op-2")])]),
        (
            "a cancelled run ends",
            [
                operation("cancel", 5, subject="r1", answer="running", status=202),
                after(runs=[run("r1", "op-1", "queued"), AFTER.runs[1]]),
            ],
        ),
        ("no version is lost", [after(versions=[A, C])]),
        ("no version is lost", [after(versions=[A, B])]),
        ("files are whole", [after(blobs=["bundles/x is damaged"])]),
        ("no key is lost", [after(keys={"old": True})]),
        ("no key is lost", [after(keys={"k": True})]),
        ("a key opens doors until it is revoked", [operation("key.use", 9.5, subject="k")]),
        (
            "a key opens doors until it is revoked",
            [operation("key.use", 6.5, subject="k", status=401)],
        ),
        ("a key opens doors until it is revoked", [after(keys={"old": True, "k": False})]),
        ("a key opens doors until it is revoked", [operation("key.use", 1, subject="old")]),
        ("no promotion is lost or repeated", [after(promotions=[A])]),
        ("no promotion is lost or repeated", [after(promotions=[A, B, B])]),
        ("no promotion is lost or repeated", [operation("read_default", 12.1, end=12.9, answer=A)]),
        ("no promotion is lost or repeated", [operation("roll_back", 40, answer=C)]),
        ("no promotion is lost or repeated", [operation("roll_back", 40, status=404)]),
        ("no dataset is lost", [after(datasets={"set": "d2"})]),
        (
            "no dataset is lost",
            [operation("dataset.read", 23, subject="set", status=404)],
        ),
        ("no dataset is lost", [operation("dataset.upload", 21.5, subject="set", value="d2")]),
        (
            "an idempotency key stands for one run",
            [operation("train", 6, subject="i1", value="op-2", answer="r1", status=202)],
        ),
        (
            "an idempotency key stands for one run",
            [operation("train", 6, subject="i1", value="op-3", answer="r2", status=202)],
        ),
        (
            "an idempotency key stands for one run",
            [operation("train", 6, subject="i1", value="op-2", status=409)],
        ),
        (
            "a face has the bytes of its version",
            [face(40, A, A, answer={"version": A, "bytes": "wrong"})],
        ),
        ("a pinned face is of its version", [face(40, B, A)]),
        ("default is not older than its bound", [face(85, C)]),
        ("no internal error", [operation("train", 40, status=500, answer="oops")]),
        ("all works again", [Probe("app-b is ready", 90, 99, "timed out")]),
    ],
)
def test_each_bad_kind_is_refused(rule: str, bad: list[Record]) -> None:
    replaced = any(isinstance(one, Rest) for one in bad)
    records = [one for one in GOOD if not (replaced and one is AFTER)] + bad
    assert rule in {violation.rule for violation in check(records)}


def test_an_old_default_is_refused_but_not_where_its_server_was_cut_off() -> None:
    moves: list[Record] = [BEFORE, operation("promote", 1, value=B, answer=B)]
    assert check([*moves, face(8, A)]) == []
    assert [one.rule for one in check([*moves, face(60, A)])] == [
        "default is not older than its bound"
    ]
    for target in ("app-a", "app-a-to-database", "database"):
        assert check([*moves, face(60, A), Fault("partition", target, 10, 40)]) == []
    assert check([*moves, face(60, A), Fault("partition", "app-b-to-database", 10, 40)]) != []


@pytest.mark.parametrize("server_error", [None, 507])
def test_a_rollback_without_an_answer_excuses_no_face_that_the_database_contradicts(
    server_error: int | None,
) -> None:
    """Two of them hid a server that kept an old alias for 26 s."""
    moves: list[Record] = [
        BEFORE,
        unanswered("roll_back", 1, status=server_error),
        unanswered("roll_back", 2, status=server_error),
        operation("promote", 20, value=B, answer=B),
        operation("read_default", 22, answer=B),
    ]
    rest = Rest(90, promotions=[A, B], versions=[A, B], keys={"old": True})
    stale = ["default is not older than its bound"]
    assert check([*moves, face(24, A), rest]) == []
    assert [one.rule for one in check([*moves, face(40, A), rest])] == stale
    # Between two moves, too, where the database names A only before and after.
    later = [operation("promote", 50, value=A, answer=A), face(65, A)]
    rest = dataclasses.replace(rest, promotions=[A, B, A])
    assert check([*moves, *later, rest]) == []
    assert [one.rule for one in check([*moves, face(40, A), *later, rest])] == stale


def test_a_move_without_an_answer_excuses_faces_until_all_had_time_to_recover() -> None:
    """A rollback and a promotion without an answer could follow the last one that was answered."""
    moves: list[Record] = [
        BEFORE,
        Fault("delay", "redis", 0, 8),
        operation("promote", 1, value=B, answer=B),
        unanswered("roll_back", 3),
        unanswered("promote", 4, value=B),
    ]
    rest = Rest(90, promotions=[A, B], versions=[A, B], keys={"old": True})
    assert check([*moves, face(60, A), rest]) == []
    assert [one.rule for one in check([*moves, face(64, A), rest])] == [
        "default is not older than its bound"
    ]


def test_what_was_refused_changed_nothing_and_a_server_error_may_have() -> None:
    refused = operation("promote", 1, value=B, status=409)
    failed = operation("promote", 1, value=B, status=503, end=math.inf)
    for end in ([A], [A, B]):
        assert (
            check([BEFORE, failed, Rest(9, promotions=end, versions=[A, B], keys={"old": True})])
            == []
        )
    assert check([BEFORE, refused, Rest(9, promotions=[A, B], versions=[A, B], keys={"old": True})])
