"""Runs: training jobs and their state machine, in the database. Redis only wakes the workers.

`MOVES` is the table of state transitions. A worker owns a run through its fence, the number that
claiming increments. Every later write carries the fence, so a worker that lost its lease changes
nothing.
"""

import secrets
from collections.abc import Sequence
from typing import Any, Literal, NewType, get_args

import sqlalchemy as sa
from sqlalchemy import select, update

from models import webhooks
from models.database.engine import lock, now, reading
from models.database.tables import events, runs
from models.errors import ForbiddenMove, StaleFence, UnknownRun
from models.name_and_note import Description
from models.recipes.recipe import Recipe
from models.row_limits import check_count

Fence = NewType("Fence", int)
Row = dict[str, Any]

MOVES: dict[str, tuple[set[str], str]] = {
    "claim": ({"queued"}, "running"),
    "requeue": ({"running"}, "queued"),
    "succeed": ({"running"}, "succeeded"),
    "fail": ({"running"}, "failed"),
    "cancel": ({"queued", "running"}, "cancelled"),
    "resume": ({"failed", "cancelled"}, "queued"),
    "change": ({"queued"}, "queued"),
}
RunState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
STATES: tuple[RunState, ...] = get_args(RunState)
ACTIVE = ("queued", "running")  # such a run needs its dataset and its snapshots
FINAL = {"succeeded", "failed", "cancelled"}

# Attempts in a row without a new snapshot after which a run fails: its own work ends its workers.
MOST_STALLS = 3
MOST_WAITING = 1000
TOO_MANY = "At most {most} runs may wait; cancel one that waits, or try again when some have ended."


def create(
    engine: sa.Engine,
    recipe: Recipe,
    request: Row,
    idempotency_key: str | None = None,
    description: Description | None = None,
) -> tuple[Row, bool]:
    """Create a queued run; (row, is_new). A repeated idempotency key returns the first run.

    Raises ForbiddenMove when the key was used for another request, and LimitReached.
    """
    with engine.begin() as db:
        lock(db, "runs.create")
        if (existing := _find_repeated(db, request, idempotency_key)) is not None:
            return existing, False
        _check_room(db)
        run = secrets.token_hex(8)
        last = db.execute(select(sa.func.coalesce(sa.func.max(runs.c.number), 0))).scalar_one()
        db.execute(
            runs.insert().values(
                id=run,
                number=last + 1,
                state="queued",
                recipe=recipe.model_dump(mode="json"),
                request=request,
                created=now(),
                idempotency_key=idempotency_key,
                **(description.values() if description else {}),
            )
        )
        _append_event(db, run, "run.queued", {})
        return _get(db, run), True


def _check_room(db: sa.Connection) -> None:
    waiting_runs = select(runs.c.id).where(runs.c.state == "queued")
    check_count(db, waiting_runs, MOST_WAITING, TOO_MANY)


def find_repeated(engine: sa.Engine, request: Row, idempotency_key: str) -> Row | None:
    """Return the run that an earlier request with this key created; None: there was none.

    Raises ForbiddenMove when the key was used for another request.
    """
    with reading(engine).begin() as db:
        return _find_repeated(db, request, idempotency_key)


def _find_repeated(db: sa.Connection, request: Row, idempotency_key: str | None) -> Row | None:
    if idempotency_key is None:
        return None
    query = select(runs).where(runs.c.idempotency_key == idempotency_key)
    existing = db.execute(query).first()
    if existing is None:
        return None
    if existing.request != request:
        raise ForbiddenMove("This idempotency key was used for another request; send a new key.")
    return existing._asdict()


def get(engine: sa.Engine, run: str) -> Row:
    """Return one run. Raises UnknownRun."""
    with reading(engine).begin() as db:
        return _get(db, run)


def list_runs(
    engine: sa.Engine, limit: int = 100, state: str | None = None, text: str = ""
) -> list[Row]:
    """Return the newest runs, in descending order.

    text: part of the id, the name, the note, the preset, or the dataset; in any case.
    """
    query = select(runs).order_by(runs.c.number.desc()).limit(limit)
    if state is not None:
        query = query.where(runs.c.state == state)
    if text:
        recipe = [runs.c.recipe[field].as_string() for field in ("preset", "dataset")]
        columns = (runs.c.id, runs.c.name, runs.c.note, *recipe)
        is_match = [column.icontains(text, autoescape=True) for column in columns]
        query = query.where(sa.or_(*is_match))
    with reading(engine).begin() as db:
        return [row._asdict() for row in db.execute(query)]


def describe(engine: sa.Engine, run: str, description: Description) -> Row:
    """Change a run's name or note; the run. Raises UnknownRun."""
    with engine.begin() as db:
        if values := description.values():
            db.execute(update(runs).where(runs.c.id == run).values(values))
        return _get(db, run)


def claim(engine: sa.Engine, run: str | None = None) -> tuple[Row, Fence] | None:
    """Claim the oldest queued run, or `run`; None when none is queued."""
    with engine.begin() as db:
        query = select(runs.c.id).where(runs.c.state == "queued").order_by(runs.c.number)
        if run is not None:
            query = query.where(runs.c.id == run)
        for (candidate,) in db.execute(query).all():
            result = db.execute(
                update(runs)
                .where(runs.c.id == candidate, runs.c.state.in_(MOVES["claim"][0]))
                .values(
                    state=MOVES["claim"][1],
                    fence=runs.c.fence + 1,
                    attempt=runs.c.attempt + 1,
                    heartbeat=runs.c.heartbeat + 1,
                    started=sa.func.coalesce(runs.c.started, now()),
                    error=None,
                )
            )
            if result.rowcount:
                row = _get(db, candidate)
                _append_event(db, candidate, "run.started", {"attempt": row["attempt"]})
                return row, Fence(row["fence"])
    return None


def beat(engine: sa.Engine, run: str, fence: Fence) -> bool:
    """Increment the heartbeat; whether the run is to be cancelled. Raises StaleFence."""
    with engine.begin() as db:
        _write(db, run, fence, {"heartbeat": runs.c.heartbeat + 1})
        return bool(_get(db, run)["cancel"])


def record(
    engine: sa.Engine, run: str, fence: Fence, type: str, data: Row, progress: bool = False
) -> None:
    """Append an event; `progress`: also store it as the run's progress. Raises StaleFence."""
    with engine.begin() as db:
        _write(db, run, fence, {"progress": data} if progress else {"fence": runs.c.fence})
        _append_event(db, run, type, data)


def snapshot(engine: sa.Engine, run: str, fence: Fence, name: str, data: Row) -> None:
    """Point to a snapshot. A new one resets the counts of stalls and faults. Raises StaleFence."""
    # Each attempt to publish writes the last snapshot again, which must not reset the counts.
    stalls = sa.case((runs.c.snapshot == name, runs.c.stalls), else_=0)
    with engine.begin() as db:
        is_new = _get(db, run)["snapshot"] != name
        if not is_new and (count := _count_faults(db, run)):
            data = {**data, "fault": count}
        _write(db, run, fence, {"snapshot": name, "stalls": stalls})
        _append_event(db, run, "snapshot.written", data)


def requeue(engine: sa.Engine, run: str, fence: Fence, reason: str, is_stalled: bool = True) -> str:
    """Return a run to the queue; its new state. Fails it after MOST_STALLS stalls."""
    with engine.begin() as db:
        row = _get_for_update(db, run)
        stalls, error = row["stalls"] + is_stalled, None
        if stalls >= MOST_STALLS:
            error = f"{MOST_STALLS} attempts ended without a new snapshot; the last one: {reason}"
        return _requeue_or_fail(db, row, fence, error, {"stalls": stalls}, {"reason": reason})


def count_faults(engine: sa.Engine, run: str) -> int:
    """Return the number of consecutive attempts that a fault ended since the last snapshot."""
    with reading(engine).begin() as db:
        return _count_faults(db, run)


def requeue_after_fault(engine: sa.Engine, run: str, fence: Fence, reason: str, most: int) -> str:
    """Return a run to the queue after a fault that is not its own; its new state.

    It counts as no stall. Fails the run where `most` faults in a row ended its attempts.
    """
    with engine.begin() as db:
        row = _get_for_update(db, run)
        count = _count_faults(db, run) + 1
        error = reason if count >= most else None
        event = {"reason": reason, "fault": count}
        return _requeue_or_fail(db, row, fence, error, {}, event)


def _requeue_or_fail(
    db: sa.Connection, row: Row, fence: Fence, error: str | None, values: Row, event: Row
) -> str:
    """Requeue a run, or fail it where there is an error; a cancelled run ends. Its new state."""
    run = row["id"]
    if row["cancel"]:
        _move(db, run, "cancel", fence, {"finished": now()}, {})
    elif error is not None:
        _move(db, run, "fail", fence, {"error": error, "finished": now()}, {"error": error})
    else:
        _move(db, run, "requeue", fence, values, event)
    return str(_get(db, run)["state"])


def _count_faults(db: sa.Connection, run: str) -> int:
    """The count of the newest of these events, 0 where it has none: all others start anew."""
    types = ("snapshot.written", "run.queued", "run.requeued")
    query = select(events.c.type, events.c.data).where(events.c.run == run)
    last = query.where(events.c.type.in_(types)).order_by(events.c.number.desc()).limit(1)
    row = db.execute(last).first()
    return int(row.data.get("fault", 0)) if row is not None else 0


def finish(engine: sa.Engine, run: str, fence: Fence, move: str, **values: Any) -> None:
    """Apply the move `fail` (with error=) or `cancel`, as the owner. Raises StaleFence."""
    with engine.begin() as db:
        _move(db, run, move, fence, {**values, "finished": now()}, values)


def succeed(db: sa.Connection, run: str, fence: Fence, version: str) -> None:
    """Apply the move `succeed` in the transaction that moves `latest`. Raises StaleFence."""
    _move(db, run, "succeed", fence, {"version": version, "finished": now()}, {"version": version})


def cancel(engine: sa.Engine, run: str) -> Row:
    """Cancel a queued run, or ask a running one to stop. Raises ForbiddenMove."""
    with engine.begin() as db:
        row = _get_for_update(db, run)
        _check_move(row, "cancel")
        if row["state"] == "queued":
            _move(db, run, "cancel", Fence(row["fence"]), {"finished": now(), "cancel": True}, {})
        else:
            db.execute(update(runs).where(runs.c.id == run).values(cancel=True))
            _append_event(db, run, "run.cancelling", {})
        return _get(db, run)


def resume(engine: sa.Engine, run: str, recipe: Recipe | None = None) -> Row:
    """Queue a failed or cancelled run again, with a new recipe or its own; it keeps its snapshot.

    A queued run keeps its place and takes the new recipe. Raises ForbiddenMove for any other state,
    and for a queued run without a new recipe; LimitReached where too many runs wait.
    """
    with engine.begin() as db:
        row = _get_for_update(db, run)
        move = "change" if recipe is not None and row["state"] == "queued" else "resume"
        _check_move(row, move)
        values: Row = {}
        if move == "resume":
            lock(db, "runs.create")
            _check_room(db)
            values = {"cancel": False, "stalls": 0, "error": None, "finished": None}
        if recipe is not None:
            values["recipe"] = recipe.model_dump(mode="json")
        _move(db, run, move, Fence(row["fence"]), values, {})
        return _get(db, run)


def events_after(engine: sa.Engine, run: str, number: int, limit: int = 500) -> list[Row]:
    """Return the run's events numbered above `number`, in order."""
    query = (
        select(events)
        .where(events.c.run == run, events.c.number > number)
        .order_by(events.c.number)
        .limit(limit)
    )
    with reading(engine).begin() as db:
        return [row._asdict() for row in db.execute(query)]


def last_event(engine: sa.Engine, run: str) -> int:
    """Return the number of the run's newest event; 0: it has none."""
    query = select(sa.func.coalesce(sa.func.max(events.c.number), 0)).where(events.c.run == run)
    with reading(engine).begin() as db:
        return int(db.execute(query).scalar_one())


def newest_events(engine: sa.Engine, ids: Sequence[str], type: str) -> dict[str, Row]:
    """Return the data of the newest event of one type, by run; runs without one are left out."""
    newest = (
        select(events.c.run, sa.func.max(events.c.number).label("number"))
        .where(events.c.run.in_(ids), events.c.type == type)
        .group_by(events.c.run)
        .subquery()
    )
    is_newest = (events.c.run == newest.c.run) & (events.c.number == newest.c.number)
    with reading(engine).begin() as db:
        rows = db.execute(select(events.c.run, events.c.data).join(newest, is_newest))
        return {run: dict(data) for run, data in rows}


def events_of_type(engine: sa.Engine, run: str, type: str) -> list[Row]:
    """Return the data of every event of one type, in order. Raises UnknownRun."""
    query = select(events.c.data).where(events.c.run == run, events.c.type == type)
    with reading(engine).begin() as db:
        _get(db, run)
        return [dict(data) for data in db.execute(query.order_by(events.c.number)).scalars()]


def guard(db: sa.Connection, run: str, fence: Fence) -> None:
    """Raises StaleFence unless this fence still owns the run."""
    _write(db, run, fence, {"fence": runs.c.fence})


def _get(db: sa.Connection, run: str) -> Row:
    return _one(db, run, select(runs).where(runs.c.id == run))


def _get_for_update(db: sa.Connection, run: str) -> Row:
    """As `_get`, and lock the row until this transaction ends (PostgreSQL)."""
    return _one(db, run, select(runs).where(runs.c.id == run).with_for_update())


def _one(db: sa.Connection, run: str, query: sa.Select[Any]) -> Row:
    row = db.execute(query).first()
    if row is None:
        raise UnknownRun(run)
    return row._asdict()


def _write(db: sa.Connection, run: str, fence: Fence, values: Row) -> None:
    is_owner = (runs.c.id == run, runs.c.fence == fence, runs.c.state == "running")
    if not db.execute(update(runs).where(*is_owner).values(values)).rowcount:
        raise StaleFence(run)


def _move(db: sa.Connection, run: str, move: str, fence: Fence, values: Row, event: Row) -> None:
    sources, target = MOVES[move]
    result = db.execute(
        update(runs)
        .where(runs.c.id == run, runs.c.fence == fence, runs.c.state.in_(sources))
        .values(state=target, **values)
    )
    if not result.rowcount:
        raise StaleFence(run)
    names = {"requeue": "run.requeued", "resume": "run.queued", "change": "run.queued"}
    _append_event(db, run, names.get(move, f"run.{target}"), event)


def _check_move(row: Row, move: str) -> None:
    sources, _ = MOVES[move]
    if row["state"] not in sources:
        raise ForbiddenMove(
            f"Run {row['id']} is {row['state']}; only a run that is "
            f"{' or '.join(sorted(sources))} takes {move}."
        )


def _append_event(db: sa.Connection, run: str, type: str, data: Row) -> None:
    last = select(sa.func.coalesce(sa.func.max(events.c.number), 0)).where(events.c.run == run)
    number = db.execute(last).scalar_one() + 1
    db.execute(events.insert().values(run=run, number=number, type=type, data=data, at=now()))
    webhooks.enqueue(db, type, {"run": run, "number": number, **data})
