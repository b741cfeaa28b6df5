"""Limits on the rows that clients can make, so that no key fills the database or a list."""

from typing import Any

import sqlalchemy as sa

from models.errors import LimitReached


def check_count(db: sa.Connection, rows: sa.Select[Any], most: int, remedy: str) -> None:
    """Raise LimitReached with the remedy where as many rows as may be are there.

    Call it in the transaction that inserts one more, after `lock`. remedy: a sentence with `{most}`
    for the limit.
    """
    if (db.scalar(sa.select(sa.func.count()).select_from(rows.subquery())) or 0) >= most:
        raise LimitReached(remedy.format(most=f"{most:,}"))
