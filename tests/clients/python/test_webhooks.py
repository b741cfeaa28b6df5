"""`kao-client` manages webhooks."""

import pytest

from kao_client import Refused
from models import webhooks
from models.registry import Registry
from tests.clients.python.conftest import Caller

ADDRESS = "https://example.com/hook"


def test_a_webhook_is_made_listed_and_deleted(kao: Caller, url: str) -> None:
    every = kao.call(url, "create_webhook", ADDRESS)
    one = kao.call(url, "create_webhook", ADDRESS, "run.failed", "alias.moved")
    assert one.secret.startswith("whsec_")
    assert one.types == ["run.failed", "alias.moved"]
    types_by_id = {row.id: row.types for row in kao.call(url, "webhooks")}
    assert types_by_id == {one.id: one.types, every.id: list(webhooks.TYPES)}
    kao.call(url, "delete_webhook", every.id)
    assert [row.id for row in kao.call(url, "webhooks")] == [one.id]
    with pytest.raises(Refused) as refusal:
        kao.call(url, "deliveries", every.id)
    assert refusal.value.type == "unknown-webhook"


def test_a_delivery_is_listed_and_replayed(
    kao: Caller, url: str, registry: Registry, versions: list[str]
) -> None:
    webhook = kao.call(url, "create_webhook", ADDRESS, "alias.moved")
    kao.call(url, "promote", versions[1])
    (delivery,) = kao.call(url, "deliveries", webhook.id)
    assert delivery.body["data"]["version"] == versions[1]
    claim = webhooks.claim(registry.engine)
    assert claim is not None
    webhooks.record_outcome(registry.engine, claim, 200, None)
    (first_delivery,) = kao.call(url, "deliveries", webhook.id)
    assert (first_delivery.state, first_delivery.status, first_delivery.attempts) == (
        "delivered",
        200,
        1,
    )
    replay = kao.call(url, "replay", webhook.id, first_delivery.number)
    assert (replay.state, replay.attempts) == ("pending", 0)


def test_a_test_event_is_sent(kao: Caller, url: str) -> None:
    webhook = kao.call(url, "create_webhook", ADDRESS, "run.failed")
    delivery = kao.call(url, "test_webhook", webhook.id)
    assert (delivery.type, delivery.state) == ("webhook.test", "pending")
    assert kao.call(url, "deliveries", webhook.id) == [delivery]
