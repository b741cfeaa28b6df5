"""Webhooks and their deliveries, each stored in the transaction of its event."""

import base64
import secrets
import time
from collections.abc import Collection
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy import select, update

from models.database.engine import lock, now, reading
from models.database.tables import deliveries, webhooks
from models.errors import UnknownWebhook
from models.row_limits import check_count

Row = dict[str, Any]

EventType = Literal[
    "run.queued", "run.started", "run.succeeded", "run.failed", "run.cancelled", "alias.moved"
]
TYPES: tuple[EventType, ...] = get_args(EventType)
TEST = "webhook.test"  # sent on request, whatever a webhook's types are
# s before each further attempt; after the last one the delivery has failed.
DELAYS = (5.0, 60.0, 300.0, 1800.0, 7200.0, 21600.0, 43200.0)
CLAIM = 60.0  # s that one worker may take for an attempt before another repeats it
MOST_LISTED = 100
MOST_KEPT = 1000  # settled deliveries of a webhook; older ones are deleted
# Each event is stored once for each webhook.
MOST_WEBHOOKS = 100
TOO_MANY = "A server keeps at most {most} webhooks; delete one first."
MOST_WAITING_TESTS = 10  # of a webhook
TOO_MANY_TESTS = (
    "{most} test events of this webhook still wait for an answer; its deliveries say why."
)


def create(engine: sa.Engine, url: str, types: list[str]) -> Row:
    """Store a webhook with a new secret; its row. Raises LimitReached."""
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
    row = {"id": secrets.token_hex(8), "url": url, "secret": secret, "types": types}
    row["created"] = now()
    with engine.begin() as db:
        lock(db, "webhooks.create")
        check_count(db, _active(webhooks.c.id), MOST_WEBHOOKS, TOO_MANY)
        db.execute(webhooks.insert().values(**row))
    return row


def _active(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return select(*columns).where(webhooks.c.deleted.is_(None))


def list_webhooks(engine: sa.Engine) -> list[Row]:
    """Return the webhooks that were not deleted, newest first."""
    with reading(engine).begin() as db:
        rows = db.execute(_active(*webhooks.c).order_by(webhooks.c.created.desc(), webhooks.c.id))
        return [row._asdict() for row in rows]


def delete(engine: sa.Engine, id: str) -> None:
    """End a webhook, and what is still to be delivered to it. Raises UnknownWebhook."""
    with engine.begin() as db:
        _get(db, id)
        db.execute(update(webhooks).where(webhooks.c.id == id).values(deleted=now()))
        is_pending = (deliveries.c.webhook == id, deliveries.c.state == "pending")
        values = {"state": "failed", "error": "the webhook was deleted"}
        db.execute(update(deliveries).where(*is_pending).values(**values))


def enqueue(db: sa.Connection, type: str, data: Row) -> None:
    """Store a delivery for each webhook with this type of event, in the event's transaction."""
    if type not in TYPES:
        return
    at, body = now(), {"type": type, "data": data}
    for hook in db.execute(_active(*webhooks.c)).all():
        if type in hook.types:
            _insert(db, hook.id, type, {**body, "at": at})


def enqueue_test(engine: sa.Engine, id: str) -> Row:
    """Store a test delivery for one webhook; its row. Raises UnknownWebhook, LimitReached."""
    body = {"type": TEST, "data": {"webhook": id}, "at": now()}
    with engine.begin() as db:
        _get(db, id)
        is_waiting = (
            deliveries.c.webhook == id,
            deliveries.c.type == TEST,
            deliveries.c.state == "pending",
        )
        waiting = select(deliveries.c.number).where(*is_waiting)
        check_count(db, waiting, MOST_WAITING_TESTS, TOO_MANY_TESTS)
        return _insert(db, id, TEST, body)


def _insert(db: sa.Connection, id: str, type: str, body: Row) -> Row:
    """Store a delivery that is due now, and delete the oldest settled ones; its row."""
    of_webhook = deliveries.c.webhook == id
    numbers = select(deliveries.c.number).where(of_webhook).order_by(deliveries.c.number.desc())
    oldest = numbers.offset(MOST_KEPT - 1).limit(1).scalar_subquery()
    is_old = (deliveries.c.number < oldest, deliveries.c.state != "pending")
    db.execute(sa.delete(deliveries).where(of_webhook, *is_old))
    values = {"webhook": id, "type": type, "body": body, "created": body["at"]}
    state = {"state": "pending", "due": time.time(), "attempts": 0}
    statement = deliveries.insert().values(**values, **state).returning(*deliveries.c)
    return db.execute(statement).one()._asdict()


def list_deliveries(engine: sa.Engine, id: str) -> list[Row]:
    """Return a webhook's newest deliveries. Raises UnknownWebhook."""
    query = select(deliveries).where(deliveries.c.webhook == id)
    with reading(engine).begin() as db:
        _get(db, id)
        rows = db.execute(query.order_by(deliveries.c.number.desc()).limit(MOST_LISTED))
        return [row._asdict() for row in rows]


def replay(engine: sa.Engine, id: str, number: int) -> Row:
    """Send a delivery again, from its first attempt; its row. Raises UnknownWebhook."""
    with engine.begin() as db:
        _get(db, id)
        is_delivery = (deliveries.c.webhook == id, deliveries.c.number == number)
        values = {"state": "pending", "due": time.time(), "attempts": 0, "error": None}
        if not db.execute(update(deliveries).where(*is_delivery).values(**values)).rowcount:
            raise UnknownWebhook(f"Webhook {id} has no delivery {number}.")
        return db.execute(select(deliveries).where(*is_delivery)).one()._asdict()


def claim(engine: sa.Engine, without: Collection[str] = ()) -> Row | None:
    """The next due delivery with its webhook's `url` and `secret`, for this worker alone, or None.

    without: ids of webhooks whose deliveries are left out.

    A worker that dies meanwhile loses nothing: after CLAIM seconds the delivery is due again. One
    that is due later than any attempt can be was scheduled by a clock that has been set back.
    """
    moment = time.time()
    latest = moment + DELAYS[-1] + CLAIM
    columns = (deliveries, webhooks.c.url, webhooks.c.secret)
    is_due = (
        deliveries.c.state == "pending",
        sa.or_(deliveries.c.due <= moment, deliveries.c.due > latest),
        deliveries.c.webhook.not_in(without),
        webhooks.c.deleted.is_(None),  # an event may have been stored beside the deletion
    )
    joined_tables = deliveries.join(webhooks, deliveries.c.webhook == webhooks.c.id)
    query = select(*columns).select_from(joined_tables).where(*is_due)
    with reading(engine).begin() as db:
        row = db.execute(query.order_by(deliveries.c.due).limit(1)).first()
    if row is None:
        return None
    is_unchanged = (deliveries.c.number == row.number, deliveries.c.due == row.due, is_due[0])
    values = {"due": moment + CLAIM, "attempts": deliveries.c.attempts + 1}
    with engine.begin() as db:
        if not db.execute(update(deliveries).where(*is_unchanged).values(**values)).rowcount:
            return None  # another worker was first
    return {**row._asdict(), "attempts": row.attempts + 1}


def record_outcome(engine: sa.Engine, delivery: Row, status: int | None, error: str | None) -> str:
    """Record the outcome of an attempt; the delivery's new state. error: None for a success."""
    state, due, attempts = "delivered", delivery["due"], delivery["attempts"]
    if error is not None and attempts > len(DELAYS):
        state = "failed"
    elif error is not None:
        state, due = "pending", time.time() + DELAYS[attempts - 1]
    values = {"state": state, "due": due, "status": status, "error": error}
    # A replay during the attempt begins anew, with none.
    is_delivery = (
        deliveries.c.number == delivery["number"],
        deliveries.c.state == "pending",
        deliveries.c.attempts == attempts,
    )
    with engine.begin() as db:
        db.execute(update(deliveries).where(*is_delivery).values(**values))
    return state


def _get(db: sa.Connection, id: str) -> None:
    if db.execute(_active(webhooks.c.id).where(webhooks.c.id == id)).first() is None:
        raise UnknownWebhook(f"There is no webhook {id[:40]!r}.")
