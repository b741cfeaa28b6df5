"""Webhooks over HTTP: make, list and delete them, read their deliveries and replay one."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from app.auth.scopes import needs, require
from app.http.query_string import Only
from app.state import State
from app.webhooks import schemas
from models import webhooks
from models.runs import Row

router = APIRouter(
    prefix="/webhooks", tags=["webhooks"], dependencies=[needs("keys"), Depends(Only())]
)


@router.post("", status_code=201, summary="Make a webhook")
def create(
    state: State, request: Request, response: Response, body: schemas.WebhookRequest
) -> schemas.NewWebhook:
    """A worker posts the events to the address, signed; only this answer has the secret.

    Events of runs need a key with the scope `read` too.
    """
    if any(type.startswith("run.") for type in body.types):
        require(request.state.key, "read")
    row = webhooks.create(state.database, str(body.url), list(body.types))
    response.headers["Cache-Control"] = "no-store"
    return schemas.NewWebhook(**row)


@router.get("", summary="List the webhooks, newest first")
def list_webhooks(state: State) -> schemas.Webhooks:
    """Without their secrets."""
    rows = webhooks.list_webhooks(state.database)
    return schemas.Webhooks(webhooks=[_public(row) for row in rows])


@router.delete("/{id}", status_code=204, summary="Delete a webhook")
def delete(state: State, id: str) -> None:
    """What is still to be delivered is not sent any more."""
    webhooks.delete(state.database, id)


@router.post("/{id}/test", status_code=202, summary="Send a test event to a webhook")
def test(state: State, id: str) -> schemas.Delivery:
    """A `webhook.test`, signed and delivered like the others, whatever the webhook's types."""
    return _delivery(webhooks.enqueue_test(state.database, id))


@router.get("/{id}/deliveries", summary="Read the newest deliveries of a webhook")
def list_deliveries(state: State, request: Request, id: str) -> schemas.Deliveries:
    """With the outcome of each one's last attempt. Needs the scope `read` too."""
    require(request.state.key, "read")
    rows = webhooks.list_deliveries(state.database, id)
    return schemas.Deliveries(deliveries=[_delivery(row) for row in rows])


@router.post("/{id}/deliveries/{number}/replay", status_code=202, summary="Send a delivery again")
def replay(
    state: State, request: Request, id: str, number: Annotated[int, Path(ge=1, le=2**31 - 1)]
) -> schemas.Delivery:
    """At once, whatever its state. Needs the scope `read` too: the answer has its body."""
    require(request.state.key, "read")
    return _delivery(webhooks.replay(state.database, id, number))


def _public(row: Row) -> schemas.Webhook:
    return schemas.Webhook(**{name: row[name] for name in schemas.Webhook.model_fields})


def _delivery(row: Row) -> schemas.Delivery:
    return schemas.Delivery(**{name: row[name] for name in schemas.Delivery.model_fields})
