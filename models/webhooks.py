"""Webhooks and their deliveries, each stored in the transaction of its event."""

import base64
import secrets
import time
from collections.abc import Collection
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy import select, update

from models.database.engine import now, reading
from models.database.tables import deliveries, webhooks
from models.errors import UnknownWebhook

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


def create(engine: sa.Engine, url: str, types: list[str]) -> Row:
    """Store a webhook with a new secret; its row."""
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
    row = {"id": secrets.token_hex(8), "url": url, "secret": secret, "types": types}
    row["created"] = now()
    with engine.begin() as db:
        db.execute(webhooks.insert().values(**row))
    return row


def list_webhooks(engine: sa.Engine) -> list[Row]:
    """Return the webhooks that were not deleted, newest first."""
    query = select(webhooks).where(webhooks.c.deleted.is_(None))
    with reading(engine).begin() as db:
        rows = db.execute(query.order_by(webhooks.c.created.desc(), webhooks.c.id))
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
    for hook in db.execute(select(webhooks).where(webhooks.c.deleted.is_(None))).all():
        if type in hook.types:
            _insert(db, hook.id, type, {**body, "at": at})


def enqueue_test(engine: sa.Engine, id: str) -> Row:
    """Store a test delivery for one webhook; its row. Raises UnknownWebhook."""
    body = {"type": TEST, "data": {"webhook": id}, "at": now()}
    with engine.begin() as db:
        _get(db, id)
        return _insert(db, id, TEST, body)


def _insert(db: sa.Connection, id: str, type: str, body: Row) -> Row:
    """Store a delivery that is due now; its row."""
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

    A worker that dies meanwhile loses nothing: after CLAIM seconds the delivery is due again.
    """
    moment = time.time()
    columns = (deliveries, webhooks.c.url, webhooks.c.secret)
    is_due = (
        deliveries.c.state == "pending",
        deliveries.c.due <= moment,
        deliveries.c.webhook.not_in(without),
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


def settle(engine: sa.Engine, delivery: Row, status: int | None, error: str | None) -> str:
    """Record the outcome of an attempt; the delivery's new state. error: None for a success."""
    state, due, attempts = "delivered", delivery["due"], delivery["attempts"]
    if error is not None and attempts > len(DELAYS):
        state = "failed"
    elif error is not None:
        state, due = "pending", time.time() + DELAYS[attempts - 1]
    values = {"state": state, "due": due, "status": status, "error": error}
    is_delivery = (deliveries.c.number == delivery["number"], deliveries.c.state == "pending")
    with engine.begin() as db:
        db.execute(update(deliveries).where(*is_delivery).values(**values))
    return state


def _get(db: sa.Connection, id: str) -> None:
    query = select(webhooks.c.id).where(webhooks.c.id == id, webhooks.c.deleted.is_(None))
    if db.execute(query).first() is None:
        raise UnknownWebhook(f"There is no webhook {id[:40]!r}.")
