"""Runs: the database's word on who trains what; Redis only wakes the workers.

States are a table. A worker owns a run by its fence: the number that claiming raised, which
every later write must carry, so that a worker that lost its lease changes nothing.
"""

import secrets
from typing import Any, NewType

import sqlalchemy as sa
from sqlalchemy import select, update

from models.database.engine import now, reading, take_turns
from models.database.tables import events, runs
from models.errors import ForbiddenMove, StaleFence, UnknownRun
from models.recipes.recipe import Recipe

Fence = NewType("Fence", int)
Row = dict[str, Any]

MOVES: dict[str, tuple[set[str], str]] = {
    "claim": ({"queued"}, "running"),
    "requeue": ({"running"}, "queued"),
    "succeed": ({"running"}, "succeeded"),
    "fail": ({"running"}, "failed"),
    "cancel": ({"queued", "running"}, "cancelled"),
    "resume": ({"failed", "cancelled"}, "queued"),
}
STATES = ("queued", "running", "succeeded", "failed", "cancelled")
FINAL = {"succeeded", "failed", "cancelled"}

# Three attempts without a step forward mean that the run itself kills its workers.
MOST_STALLS = 3


def create(
    engine: sa.Engine, recipe: Recipe, request: Row, idempotency_key: str | None = None
) -> tuple[Row, bool]:
    """A new queued run, and whether it is new: an idempotency key asked for again gives the old.

    Raises ForbiddenMove when that key came with another request.
    """
    with engine.begin() as db:
        take_turns(db, "runs.create")
        if idempotency_key is not None:
            old = db.execute(select(runs).where(runs.c.idempotency_key == idempotency_key)).first()
            if old is not None:
                if old.request != request:
                    raise ForbiddenMove(
                        "This Idempotency-Key was used for another request; send a new key."
                    )
                return old._asdict(), False
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
            )
        )
        _tell(db, run, "run.queued", {})
        return _get(db, run), True


def get(engine: sa.Engine, run: str) -> Row:
    """One run. Raises UnknownRun."""
    with reading(engine).begin() as db:
        return _get(db, run)


def listed(engine: sa.Engine, limit: int = 100, state: str | None = None) -> list[Row]:
    """The newest runs first."""
    query = select(runs).order_by(runs.c.number.desc()).limit(limit)
    if state is not None:
        query = query.where(runs.c.state == state)
    with reading(engine).begin() as db:
        return [row._asdict() for row in db.execute(query)]


def claim(engine: sa.Engine, run: str | None = None) -> tuple[Row, Fence] | None:
    """The oldest queued run (or that one), now this caller's; None when nothing waits."""
    with engine.begin() as db:
        query = select(runs.c.id).where(runs.c.state == "queued").order_by(runs.c.number)
        if run is not None:
            query = query.where(runs.c.id == run)
        for (candidate,) in db.execute(query).all():
            claimed = db.execute(
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
            if claimed.rowcount:
                row = _get(db, candidate)
                _tell(db, candidate, "run.started", {"attempt": row["attempt"]})
                return row, Fence(row["fence"])
    return None


def beat(engine: sa.Engine, run: str, fence: Fence) -> bool:
    """Raise the heartbeat; whether somebody asked to cancel. Raises StaleFence."""
    with engine.begin() as db:
        _write(db, run, fence, {"heartbeat": runs.c.heartbeat + 1})
        return bool(_get(db, run)["cancel"])


def record(
    engine: sa.Engine, run: str, fence: Fence, type: str, data: Row, progress: bool = False
) -> None:
    """Append an event; with `progress` it is also the run's newest. Raises StaleFence."""
    with engine.begin() as db:
        _write(db, run, fence, {"progress": data} if progress else {"fence": runs.c.fence})
        _tell(db, run, type, data)


def snapshot(engine: sa.Engine, run: str, fence: Fence, name: str, data: Row) -> None:
    """Point to a snapshot; a new one is progress: stalls are forgotten. Raises StaleFence."""
    # The last one is written again by each attempt to publish, which must not go on for ever.
    stalls = sa.case((runs.c.snapshot == name, runs.c.stalls), else_=0)
    with engine.begin() as db:
        _write(db, run, fence, {"snapshot": name, "stalls": stalls})
        _tell(db, run, "snapshot.written", data)


def requeue(engine: sa.Engine, run: str, fence: Fence, reason: str, stalled: bool = True) -> str:
    """Hand a run back; the state it got: failed after three attempts without a snapshot."""
    with engine.begin() as db:
        row = _locked(db, run)
        stalls = row["stalls"] + stalled
        if row["cancel"]:
            _move(db, run, "cancel", fence, {"finished": now()}, {})
        elif stalls >= MOST_STALLS:
            error = f"{MOST_STALLS} attempts ended without a new snapshot; the last one: {reason}"
            _move(db, run, "fail", fence, {"error": error, "finished": now()}, {"error": error})
        else:
            _move(db, run, "requeue", fence, {"stalls": stalls}, {"reason": reason})
        return str(_get(db, run)["state"])


def finish(engine: sa.Engine, run: str, fence: Fence, move: str, **values: Any) -> None:
    """`fail` (with error=) or `cancel`, as the owner. Raises StaleFence."""
    with engine.begin() as db:
        _move(db, run, move, fence, {**values, "finished": now()}, values)


def succeed(db: sa.Connection, run: str, fence: Fence, version: str) -> None:
    """Within the transaction that moves `latest`. Raises StaleFence."""
    _move(db, run, "succeed", fence, {"version": version, "finished": now()}, {"version": version})


def cancel(engine: sa.Engine, run: str) -> Row:
    """Ask a run to stop: at once when it waits, else at its next step. Raises ForbiddenMove."""
    with engine.begin() as db:
        row = _locked(db, run)
        _allowed(row, "cancel")
        if row["state"] == "queued":
            _move(db, run, "cancel", Fence(row["fence"]), {"finished": now(), "cancel": True}, {})
        else:
            db.execute(update(runs).where(runs.c.id == run).values(cancel=True))
            _tell(db, run, "run.cancelling", {})
        return _get(db, run)


def resume(engine: sa.Engine, run: str, recipe: Recipe | None = None) -> Row:
    """Queue a failed or cancelled run again, with a changed recipe or its own.

    It goes on from its snapshot. Raises ForbiddenMove.
    """
    with engine.begin() as db:
        row = _locked(db, run)
        _allowed(row, "resume")
        values: Row = {"cancel": False, "stalls": 0, "error": None, "finished": None}
        if recipe is not None:
            values["recipe"] = recipe.model_dump(mode="json")
        _move(db, run, "resume", Fence(row["fence"]), values, {})
        return _get(db, run)


def events_after(engine: sa.Engine, run: str, number: int, limit: int = 500) -> list[Row]:
    """The run's events numbered above `number`, in order."""
    query = (
        select(events)
        .where(events.c.run == run, events.c.number > number)
        .order_by(events.c.number)
        .limit(limit)
    )
    with reading(engine).begin() as db:
        return [row._asdict() for row in db.execute(query)]


def told(engine: sa.Engine, run: str, type: str) -> list[Row]:
    """What every event of one type says, in order. Raises UnknownRun."""
    query = select(events.c.data).where(events.c.run == run, events.c.type == type)
    with reading(engine).begin() as db:
        _get(db, run)
        return [dict(data) for data in db.execute(query.order_by(events.c.number)).scalars()]


def guard(db: sa.Connection, run: str, fence: Fence) -> None:
    """Raises StaleFence unless this fence still owns the run."""
    _write(db, run, fence, {"fence": runs.c.fence})


def _get(db: sa.Connection, run: str) -> Row:
    return _found(db, run, select(runs).where(runs.c.id == run))


def _locked(db: sa.Connection, run: str) -> Row:
    """As `_get`, and nobody else changes it before this transaction ends (PostgreSQL too)."""
    return _found(db, run, select(runs).where(runs.c.id == run).with_for_update())


def _found(db: sa.Connection, run: str, query: sa.Select[Any]) -> Row:
    row = db.execute(query).first()
    if row is None:
        raise UnknownRun(run)
    return row._asdict()


def _write(db: sa.Connection, run: str, fence: Fence, values: Row) -> None:
    owned = (runs.c.id == run, runs.c.fence == fence, runs.c.state == "running")
    if not db.execute(update(runs).where(*owned).values(values)).rowcount:
        raise StaleFence(run)


def _move(db: sa.Connection, run: str, move: str, fence: Fence, values: Row, told: Row) -> None:
    sources, target = MOVES[move]
    moved = db.execute(
        update(runs)
        .where(runs.c.id == run, runs.c.fence == fence, runs.c.state.in_(sources))
        .values(state=target, **values)
    )
    if not moved.rowcount:
        raise StaleFence(run)
    names = {"requeue": "run.requeued", "resume": "run.queued"}
    _tell(db, run, names.get(move, f"run.{target}"), told)


def _allowed(row: Row, move: str) -> None:
    sources, _ = MOVES[move]
    if row["state"] not in sources:
        raise ForbiddenMove(
            f"Run {row['id']} is {row['state']}; only a run that is "
            f"{' or '.join(sorted(sources))} takes {move}."
        )


def _tell(db: sa.Connection, run: str, type: str, data: Row) -> None:
    last = select(sa.func.coalesce(sa.func.max(events.c.number), 0)).where(events.c.run == run)
    number = db.execute(last).scalar_one() + 1
    db.execute(events.insert().values(run=run, number=number, type=type, data=data, at=now()))
