"""Judges a history: what it must never show, rule by rule.

1. A run that was acknowledged is there, was made once, and took the states of the table in order.
2. A version that was published stays, and a run publishes one.
3. An API key opens doors from its creation to its revocation, and never after it.
4. `default` is what some order of the promotions and rollbacks gives; none is lost or repeated.
5. A dataset is there from its upload to its deletion, with its bytes.
6. An idempotency key stands for one run.
7. A face has the bytes of its version, and `default` serves no version that is older than a bound.
8. No request fails inside (500), and all works again after the last fault.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from models.runs import FINAL
from tests.adversary import sequential_models as models
from tests.adversary.history import Fault, Operation, Probe, Record, Rest
from tests.adversary.linearizability import Model, Prospect, TooManyStates, is_linearizable

S = TypeVar("S", bound=Hashable)

# s; `default` may be so old at a server whose links and processes have been whole for `RECOVERY`.
# The engine reads the aliases every second; a new model takes seconds to load on a busy machine.
STALENESS = 10.0
RECOVERY = 45.0
FACES = ("face", "batch")
STALE = "default is not older than its bound"


@dataclass(frozen=True)
class Violation:
    """A rule that the history breaks."""

    rule: str
    detail: str


def check(records: Iterable[Record], staleness: float = STALENESS) -> list[Violation]:
    """Every violation of one round: its first and its last rest, and what lies between them."""
    history = list(records)
    operations = [one for one in history if isinstance(one, Operation)]
    rests = [one for one in history if isinstance(one, Rest)]
    faults = [one for one in history if isinstance(one, Fault)]
    before = next((one for one in rests if one.first), Rest(0.0, first=True))
    after = next((one for one in rests if not one.first), None)
    violations = [
        *_failures(operations),
        *_recovery_violations(one for one in history if isinstance(one, Probe)),
        *_faces(operations),
        *_idempotency(operations),
        *_keys(operations, before, after),
        *_default(operations, faults, before, after, staleness),
        *_datasets(operations, before, after),
    ]
    if after is not None:
        violations += [*_runs(operations, before, after), *_versions(operations, before, after)]
    return violations


def _failures(operations: Sequence[Operation]) -> Iterator[Violation]:
    for one in operations:
        if one.status == 500:
            yield Violation("no internal error", f"{one.kind} at {one.server}: {one.answer}")


def _recovery_violations(probes: Iterable[Probe]) -> Iterator[Violation]:
    for probe in probes:
        if probe.reason is not None:
            yield Violation("all works again", f"{probe.what}: {probe.reason}")


# Runs.


def _runs(operations: Sequence[Operation], before: Rest, after: Rest) -> Iterator[Violation]:
    rows = {row["id"]: row for row in after.runs}
    earlier_ids = {row["id"] for row in before.runs}
    for one in operations:
        if one.kind == "train" and one.is_success and one.answer not in rows:
            yield Violation("no run is lost", f"{one.value} was acknowledged as {one.answer}")
    yield from (
        Violation("no run is lost", f"{run} was there before") for run in earlier_ids - rows.keys()
    )
    labels = Counter(row["name"] for run, row in rows.items() if run not in earlier_ids)
    for label, count in labels.items():
        if label is not None and count > 1:
            yield Violation("no run is made twice", f"{label} made {count}")
    yield from _run_ids(operations)
    for run, row in rows.items():
        yield from _events(run, row["state"], after.events.get(run, []))
    yield from _cancellation_violations(operations, rows)


def _run_ids(operations: Sequence[Operation]) -> Iterator[Violation]:
    """Requests without an idempotency key made one run each."""
    counts = Counter(
        one.answer
        for one in operations
        if one.kind == "train" and one.is_success and not one.subject
    )
    for run, count in counts.items():
        if count > 1:
            yield Violation("no run is made twice", f"{count} requests were answered with {run}")


def _events(run: str, state: str, events: Sequence[tuple[int, str]]) -> Iterator[Violation]:
    numbers = [number for number, _ in events]
    if numbers != list(range(1, len(numbers) + 1)):
        yield Violation("events are numbered without a gap", f"{run}: {numbers}")
    names = [type for _, type in events]
    moves = [name.removeprefix("run.") for name in names if name in EVENT_STATES]
    allowed_states = {
        ("", "queued"), ("queued", "started"), ("queued", "cancelled"), ("requeued", "started"),
        ("requeued", "cancelled"), ("started", "requeued"), ("started", "succeeded"),
        ("started", "failed"), ("started", "cancelled"), ("failed", "queued"),
        ("cancelled", "queued"),
    }  # fmt: skip
    for step in zip(["", *moves], moves, strict=False):
        if step not in allowed_states:
            yield Violation("states follow the table", f"{run}: {' -> '.join(step)}")
    last = EVENT_STATES.get(f"run.{moves[-1]}") if moves else None
    if last != state:
        yield Violation("the last event is the state", f"{run} is {state} after {last}")


EVENT_STATES = {
    "run.queued": "queued",
    "run.requeued": "queued",
    "run.started": "running",
    "run.succeeded": "succeeded",
    "run.failed": "failed",
    "run.cancelled": "cancelled",
}


def _cancellation_violations(
    operations: Sequence[Operation], rows: dict[str, dict[str, object]]
) -> Iterator[Violation]:
    """A run that was cancelled while it waited stays so; no client resumes it."""
    for one in operations:
        if one.kind == "cancel" and one.is_success:
            state = rows[one.subject]["state"] if one.subject in rows else None
            if one.answer == "cancelled" and state != "cancelled":
                yield Violation("no cancellation is lost", f"{one.subject} is {state}")
            elif state is not None and state not in FINAL:
                yield Violation("a cancelled run ends", f"{one.subject} is {state}")


def _versions(operations: Sequence[Operation], before: Rest, after: Rest) -> Iterator[Violation]:
    acknowledged_runs = {
        str(version)
        for one in operations
        if one.is_success and one.kind in ("read_default", "promote", "roll_back")
        for version in [one.answer]
    }
    for version in (acknowledged_runs | set(before.versions)) - set(after.versions):
        yield Violation("no version is lost", version)
    for version, count in Counter(after.versions).items():
        if count > 1:
            yield Violation("no version is there twice", version)
    published_versions = {row["version"] for row in after.runs if row["state"] == "succeeded"}
    for version in published_versions - set(after.versions):
        yield Violation("no version is lost", f"{version}, which a run published")
    for run, events in after.events.items():
        count = sum(type == "run.succeeded" for _, type in events)
        if count > 1:
            yield Violation("a run publishes once", f"{run}: {count} times")
    yield from (Violation("files are whole", blob) for blob in after.blobs)


# Objects with a sequential model.


def _judge(
    rule: str,
    subject: str,
    operations: Sequence[Operation],
    initial: S,
    model: Model[S],
    prospect: Prospect[S] | None = None,
) -> Iterator[Violation]:
    try:
        if not is_linearizable(operations, initial, model, prospect):
            story = "; ".join(map(_tell, sorted(operations, key=lambda one: one.start)[-40:]))
            yield Violation(rule, f"{subject}: {story}")
    except TooManyStates as error:
        yield Violation("the history can be judged", f"{subject}: {error}")


def _tell(one: Operation) -> str:
    end = "?" if math.isinf(one.end) else f"{one.end:.2f}"
    return f"[{one.start:.2f}, {end}] {one.kind}({one.value}) -> {one.status} {one.answer}"


def _by_subject(operations: Iterable[Operation]) -> dict[str, list[Operation]]:
    groups: dict[str, list[Operation]] = defaultdict(list)
    for one in operations:
        groups[one.subject].append(one)
    return groups


def _changes(one: Operation, *refusals: int) -> bool:
    """Whether an operation may have changed the object, or its refusal says something of it."""
    return not one.is_certain or one.is_success or one.status in refusals


def _steps(
    operations: Sequence[Operation], kinds: Mapping[str, tuple[int, ...]], read: str
) -> list[Operation]:
    """The operations of these kinds that say something of their object.

    kinds: each with the refusals that do. read: the kind that says nothing without an answer.
    """
    return [
        one
        for one in operations
        if one.kind in kinds
        and _changes(one, *kinds[one.kind])
        and (one.is_certain or one.kind != read)
    ]


def _idempotency(operations: Sequence[Operation]) -> Iterator[Violation]:
    keyed_operations = [
        one for one in operations if one.kind == "train" and one.subject and _changes(one, 409)
    ]
    for key, group in _by_subject(keyed_operations).items():
        rule = "an idempotency key stands for one run"
        free: models.Run | str = "free"
        yield from _judge(rule, key, group, free, models.idempotency_key)


def _keys(operations: Sequence[Operation], before: Rest, after: Rest | None) -> Iterator[Violation]:
    created_keys = {
        one.subject: one for one in operations if one.kind == "key.create" and one.is_success
    }
    uses = [
        one
        for one in operations
        if (one.kind == "key.use" and one.is_certain and (one.is_success or one.status == 401))
        or (one.kind == "key.revoke" and _changes(one))
    ]
    if after is not None:
        uses += [_as_use(key, revoked_at, after.start) for key, revoked_at in after.keys.items()]
        lost_keys = (created_keys.keys() | before.keys.keys()) - after.keys.keys()
        yield from (Violation("no key is lost", key) for key in sorted(lost_keys))
    for key, group in _by_subject(uses).items():
        initial = "revoked" if before.keys.get(key) else "active"
        rule = "a key opens doors until it is revoked"
        yield from _judge(rule, key, group, initial, models.api_key)


def _as_use(key: str, is_revoked: bool, at: float) -> Operation:
    status = 401 if is_revoked else 200
    return Operation(-1, "database", "key.use", key, at, at, status)


def _default(
    operations: Sequence[Operation],
    faults: Sequence[Fault],
    before: Rest,
    after: Rest | None,
    bound: float,
) -> Iterator[Violation]:
    """Judges the moves of `default`; where an order explains them, the faces too.

    A face says that `default` named its version at some moment, the bound before its request or
    later. A move without an answer explains it only in an order that explains all else, too.
    """
    moves = _steps(
        operations, {"promote": (), "roll_back": (404,), "read_default": ()}, read="read_default"
    )
    prospect: Prospect[models.History] | None = None
    if after is not None:
        at, final = after.start, tuple(after.promotions)
        prospect = partial(models.may_become, final)
        moves.append(Operation(-1, "database", "rest", "", at, at, 200, None, list(final)))

    def judge(rule: str, steps: Sequence[Operation]) -> list[Violation]:
        initial = tuple(before.promotions)
        return list(_judge(rule, "default", steps, initial, models.default_alias, prospect))

    reads = _faces_as_reads(operations, faults, bound)
    settled = [_settle(one, faults) for one in moves]
    yield from (
        judge("no promotion is lost or repeated", moves)
        or _final_staleness(settled, reads, after)
        or judge(STALE, [*settled, *reads])
    )


def _datasets(
    operations: Sequence[Operation], before: Rest, after: Rest | None
) -> Iterator[Violation]:
    kinds = {"dataset.upload": (409,), "dataset.delete": (404, 409), "dataset.read": (404,)}
    steps = _steps(operations, kinds, read="dataset.read")
    if after is not None:
        at = after.start
        for name in {one.subject for one in steps} | set(before.datasets):
            digest = after.datasets.get(name, "")
            steps.append(Operation(-1, "database", "dataset.read", name, at, at, 200, None, digest))
    for name, group in _by_subject(steps).items():
        rule = "no dataset is lost"
        yield from _judge(rule, name, group, before.datasets.get(name, ""), models.dataset)


# Faces.


def _faces(operations: Sequence[Operation]) -> Iterator[Violation]:
    """value: the digests that the version's own files give; answer: what came."""
    for one in operations:
        if one.kind in FACES and one.is_success and one.answer["bytes"] != one.value:
            version = one.answer["version"]
            yield Violation(
                "a face has the bytes of its version", f"{one.subject} at {one.server}: {version}"
            )
        is_pinned = len(one.subject.partition("@")[2]) == 64 if one.kind in FACES else False
        if is_pinned and one.is_success and one.answer["version"] not in one.subject:
            yield Violation("a pinned face is of its version", f"{one.subject}: {one.answer}")


def _faces_as_reads(
    operations: Iterable[Operation], faults: Sequence[Fault], bound: float
) -> list[Operation]:
    """Faces of `default` at undisturbed servers, as reads that began the bound earlier."""
    return [
        replace(one, kind="read_default", start=one.start - bound, answer=one.answer["version"])
        for one in operations
        if one.kind == "face" and one.is_success and one.subject.endswith("@default")
        if not _is_disturbed(one, faults, bound)
    ]


def _settle(move: Operation, faults: Iterable[Fault]) -> Operation:
    """A move without an answer takes effect within RECOVERY of the last fault, or never."""
    mended = max((one.end for one in faults), default=-math.inf)
    return move if move.is_certain else replace(move, end=max(move.start, mended) + RECOVERY)


def _final_staleness(
    moves: Iterable[Operation], reads: Iterable[Operation], after: Rest | None
) -> list[Violation]:
    """Faces after the last move that are not of its version, which a search finds late."""
    last_end = max((one.end for one in moves if not one.is_read), default=-math.inf)
    return [
        Violation(STALE, f"{one.server} served {one.answer} at {one.end:.2f}")
        for one in reads
        if after is not None and one.start > last_end and [one.answer] != after.promotions[-1:]
    ]


def _is_disturbed(one: Operation, faults: Sequence[Fault], bound: float) -> bool:
    """Whether the server, or what all servers need, was disturbed shortly before.

    A clock that jumps excuses nothing.
    """
    since = one.start - bound - RECOVERY
    needed_parts = (one.server, "database", "storage")
    return any(
        fault.kind != "clock"
        and fault.start < one.end
        and fault.end > since
        and (fault.target in needed_parts or fault.target.partition("-to-")[0] == one.server)
        for fault in faults
    )
