"""On the PYTHONPATH of apps under attack: one defect, which the adversary must find.

ADVERSARY_DEFECT names it. Nothing of this is in what Kao ships.
"""

import os
import random
import sys
import time
from typing import Any

DEFECT = os.environ.get("ADVERSARY_DEFECT", "")
ODDS = 0.5


def lose_runs() -> None:
    """One run in two is acknowledged, and its row is gone."""
    import sqlalchemy as sa

    from models import runs
    from models.database import tables

    create = runs.create

    def lose_run(engine: sa.Engine, *arguments: Any) -> tuple[runs.Row, bool]:
        row, is_new = create(engine, *arguments)
        if is_new and random.random() < ODDS:
            with engine.begin() as db:
                db.execute(sa.delete(tables.events).where(tables.events.c.run == row["id"]))
                db.execute(sa.delete(tables.runs).where(tables.runs.c.id == row["id"]))
        return row, is_new

    runs.create = lose_run  # type: ignore[assignment]


def split_idempotency_keys() -> None:
    """Each server has the idempotency keys of its own requests alone."""
    from app.training import service

    scope = service._scope

    def scope_to_process(key: str | None, owner: str) -> str | None:
        return scope(key, f"{owner}/{os.getpid()}")

    service._scope = scope_to_process  # type: ignore[assignment]


def keep_aliases() -> None:
    """A server reads the aliases once in ten minutes, and when it moves one itself."""
    from app.avatars.generate import engine

    engine.POLL_INTERVAL = 600.0


def cache_keys() -> None:
    """A server asks for a key once a minute, so a revoked one works for longer."""
    from models import keys

    find, memory = keys.find, dict[str, tuple[float, Any]]()

    def remember(engine: Any, key: str) -> Any:
        at, row = memory.get(key, (0.0, None))
        if row is None or time.monotonic() - at > 60:
            row = find(engine, key)
            memory[key] = (time.monotonic(), row)
        return row

    keys.find = remember


def swap_faces() -> None:
    """One face in two is the one that was drawn before it."""
    from app.avatars.generate import faces

    draw, last = faces.draw, list[Any]()

    def draw_late(requests: Any, drawer: Any) -> Any:
        pictures = draw(requests, drawer)
        before, last[:] = last[:], pictures
        return before if len(before) == len(pictures) and random.random() < ODDS else pictures

    faces.draw = draw_late


def skip_promotions() -> None:
    """One promotion in two is acknowledged and not done."""
    from models.registry import Registry

    promote = Registry.promote

    def skip(self: Registry, name: str, *arguments: Any) -> str:
        if random.random() < ODDS:
            return self.resolve(name)
        return promote(self, name, *arguments)

    Registry.promote = skip  # type: ignore[assignment,method-assign]


DEFECTS = {
    "lost-runs": lose_runs,
    "split-idempotency-keys": split_idempotency_keys,
    "old-aliases": keep_aliases,
    "cached-keys": cache_keys,
    "swapped-faces": swap_faces,
    "skipped-promotions": skip_promotions,
}

if DEFECT and "serve" in sys.orig_argv:
    DEFECTS[DEFECT]()
