"""Webhooks as clients see them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, HttpUrl

from models.webhooks import TYPES, EventType


class WebhookRequest(BaseModel):
    """Where to post, and which events."""

    model_config = ConfigDict(extra="forbid")

    url: HttpUrl = Field(examples=["https://example.com/hook"])
    types: list[EventType] = Field(default=[*TYPES], min_length=1)


class Webhook(BaseModel):
    """A webhook without its secret."""

    id: str
    url: str
    types: list[str]
    created: str


class NewWebhook(Webhook):
    """A webhook with the secret that signs its deliveries."""

    secret: str = Field(examples=["whsec_…"])


class Webhooks(BaseModel):
    """All webhooks, newest first."""

    webhooks: list[Webhook]


class Delivery(BaseModel):
    """One event for one webhook. due: Unix time of the next attempt; status: of the last answer."""

    number: int
    type: str
    body: dict[str, Any]
    created: str
    state: str = Field(examples=["pending", "delivered", "failed"])
    due: float
    attempts: int
    status: int | None
    error: str | None


class Deliveries(BaseModel):
    """The newest deliveries of a webhook."""

    deliveries: list[Delivery]
