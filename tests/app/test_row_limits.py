"""How many webhooks, keys, datasets and waiting runs a client can make."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from httpx2 import Response
from PIL import Image
from starlette.testclient import TestClient

from models import keys, runs, webhooks
from models.datasets import quotas
from models.registry import Registry

MOST = 3
Make = Callable[[int], Response]
Remove = Callable[[Response], Response]


@pytest.fixture
def send(client: TestClient, key: dict[str, str]) -> Callable[..., Response]:
    """Send a request with the first key."""

    def send(method: str, path: str, **options: Any) -> Response:
        return client.request(method, path, headers=key, **options)

    return send


def archive(shade: int) -> bytes:
    """A small dataset."""
    target, picture = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (16, 16), (shade, 0, 0)).save(picture, "PNG")
    with zipfile.ZipFile(target, "w") as file:
        file.writestr("0.png", picture.getvalue())
        file.writestr("1.png", picture.getvalue())
    return target.getvalue()


@pytest.fixture(params=["webhooks", "keys", "datasets", "runs"])
def kind(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    send: Callable[..., Response],
    registry: Registry,
) -> tuple[Make, Remove]:
    """What makes one more of a kind, and what removes one; there may be MOST."""
    active = sum(one.revoked is None for one in keys.list_keys(registry.engine))
    monkeypatch.setattr(webhooks, "MOST_WEBHOOKS", MOST)
    monkeypatch.setattr(keys, "MOST_KEYS", MOST + active)
    monkeypatch.setattr(quotas, "MOST_DATASETS", MOST)
    monkeypatch.setattr(runs, "MOST_WAITING", MOST)
    kinds: dict[str, tuple[Make, Remove]] = {
        "webhooks": (
            lambda _: send("POST", "/webhooks", json={"url": "https://example.com/"}),
            lambda made: send("DELETE", f"/webhooks/{made.json()['id']}"),
        ),
        "keys": (
            lambda _: send("POST", "/keys", json={"name": "one", "scopes": ["read"]}),
            lambda made: send("DELETE", f"/keys/{made.json()['id']}"),
        ),
        "datasets": (
            lambda number: send(
                "POST", f"/datasets?name=set-{number}&licence=CC0-1.0", content=archive(number)
            ),
            lambda made: send("DELETE", f"/datasets/{made.json()['name']}"),
        ),
        "runs": (
            lambda _: send("POST", "/train", json={"preset": "smoke"}),
            lambda made: send("POST", f"/train/{made.json()['id']}/cancel"),
        ),
    }
    return kinds[request.param]


def test_no_key_makes_more_than_the_limit_and_a_removed_one_makes_room(
    kind: tuple[Make, Remove],
) -> None:
    make, remove = kind
    made = [make(number) for number in range(MOST)]
    assert {one.status_code for one in made} <= {201, 202}
    refusal = make(MOST)
    assert refusal.status_code == 409
    assert refusal.json()["type"] == "urn:kao:problem:limit-reached"
    assert "at most" in refusal.json()["detail"].lower()
    assert remove(made[0]).is_success
    assert make(MOST).is_success
    assert make(MOST + 1).status_code == 409


def test_a_run_is_not_resumed_beyond_the_limit(
    send: Callable[..., Response], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "MOST_WAITING", 1)
    first = send("POST", "/train", json={"preset": "smoke"}).json()["id"]
    send("POST", f"/train/{first}/cancel")
    second = send("POST", "/train", json={"preset": "smoke"}).json()["id"]
    assert send("POST", f"/train/{first}/resume").status_code == 409
    # One that waits already takes changes.
    assert send("POST", f"/train/{second}/resume", json={"minutes": 2}).status_code == 202


def test_an_idempotency_key_gives_its_run_at_the_limit(
    client: TestClient, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "MOST_WAITING", 1)
    headers = {**key, "Idempotency-Key": "once"}
    first, again = (
        client.post("/train", json={"preset": "smoke"}, headers=headers) for _ in range(2)
    )
    assert first.json()["id"] == again.json()["id"]


def test_tests_and_deliveries_of_a_webhook_do_not_accumulate(
    send: Callable[..., Response], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "MOST_WAITING_TESTS", 2)
    monkeypatch.setattr(webhooks, "MOST_KEPT", 3)
    id = send("POST", "/webhooks", json={"url": "https://example.com/"}).json()["id"]
    for status in (202, 202, 409):
        assert send("POST", f"/webhooks/{id}/test").status_code == status
    for _ in range(6):
        delivery = webhooks.claim(registry.engine)
        assert delivery is not None
        webhooks.record_outcome(registry.engine, delivery, 200, None)
        assert send("POST", f"/webhooks/{id}/test").status_code == 202
    rows = webhooks.list_deliveries(registry.engine, id)
    assert len(rows) <= 4
    assert sum(row["state"] == "pending" for row in rows) == 2
