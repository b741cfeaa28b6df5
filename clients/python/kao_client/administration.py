"""The calls about keys, signed addresses, webhooks and the server's state."""

from typing import Literal

from kao_client.answers import (
    Delivery,
    Key,
    NewKey,
    NewWebhook,
    Readiness,
    SignedUrl,
    Webhook,
    many,
    no_content,
    one,
)
from kao_client.calls import Call, segment

Scope = Literal["avatars", "read", "train", "datasets", "models", "keys"]
EventType = Literal[
    "run.queued", "run.started", "run.succeeded", "run.failed", "run.cancelled", "alias.moved"
]


def keys() -> Call[list[Key]]:
    """List the API keys, newest first, without their secrets."""
    return Call("GET", "/keys", many("keys", Key))


def create_key(name: str, *scopes: Scope) -> Call[NewKey]:
    """Make a key; only this answer contains it."""
    return Call("POST", "/keys", one(NewKey), json={"name": name, "scopes": scopes})


def revoke_key(id: str) -> Call[None]:
    """Revoke a key."""
    return Call("DELETE", f"/keys/{segment(id)}", no_content)


def sign(url: str, seconds: int | None = None) -> Call[SignedUrl]:
    """Sign the address of a picture, where pictures are not public."""
    body = {"url": url} if seconds is None else {"url": url, "seconds": seconds}
    return Call("POST", "/sign", one(SignedUrl), json=body)


def webhooks() -> Call[list[Webhook]]:
    """List the webhooks, newest first, without their secrets."""
    return Call("GET", "/webhooks", many("webhooks", Webhook))


def create_webhook(url: str, *types: EventType) -> Call[NewWebhook]:
    """Send events of these types, or of all, to an address; only this answer has the secret."""
    body = {"url": url, "types": types} if types else {"url": url}
    return Call("POST", "/webhooks", one(NewWebhook), json=body)


def delete_webhook(id: str) -> Call[None]:
    """Delete a webhook; what is still to be delivered is not sent."""
    return Call("DELETE", f"/webhooks/{segment(id)}", no_content)


def test_webhook(id: str) -> Call[Delivery]:
    """Send a test event to a webhook, whatever its types."""
    return Call("POST", f"/webhooks/{segment(id)}/test", one(Delivery))


def deliveries(webhook: str) -> Call[list[Delivery]]:
    """List the newest deliveries of a webhook."""
    path = f"/webhooks/{segment(webhook)}/deliveries"
    return Call("GET", path, many("deliveries", Delivery))


def replay(webhook: str, number: int) -> Call[Delivery]:
    """Send a delivery again."""
    path = f"/webhooks/{segment(webhook)}/deliveries/{number}/replay"
    return Call("POST", path, one(Delivery))


def readiness() -> Call[Readiness]:
    """The model that is served, and what is wrong. Raises Refused (503) before there is one."""
    return Call("GET", "/health/ready", one(Readiness))
