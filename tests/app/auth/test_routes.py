"""Keys over HTTP: shown once, never wider than the key that makes them, revoked for good."""

from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from models import keys
from tests.app.auth.conftest import MakeKey

Create = Callable[..., httpx.Response]


@pytest.fixture
def create(client: TestClient, key: dict[str, str]) -> Create:
    """Send `POST /keys`."""

    def make(
        name: str = "ci", scopes: tuple[str, ...] = ("read",), headers: dict[str, str] = key
    ) -> httpx.Response:
        return client.post("/keys", json={"name": name, "scopes": list(scopes)}, headers=headers)

    return make


def _bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_a_key_is_shown_once_and_works(
    client: TestClient, key: dict[str, str], create: Create
) -> None:
    answer = create(scopes=("train", "read"))
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["scopes"] == ["read", "train"]
    assert client.get("/train", headers=_bearer(body["key"])).status_code == 200
    listing = client.get("/keys", headers=key)
    assert body["key"] not in listing.text
    assert {name: body[name] for name in body if name != "key"} in listing.json()["keys"]
    assert answer.headers["location"] == f"/keys/{body['id']}"


def test_a_revoked_key_is_listed_as_such_and_opens_nothing(
    client: TestClient, key: dict[str, str], create: Create
) -> None:
    body = create().json()
    for _ in range(2):
        assert client.delete(f"/keys/{body['id']}", headers=key).status_code == 204
    assert client.get("/train", headers=_bearer(body["key"])).status_code == 401
    rows = client.get("/keys", headers=key).json()["keys"]
    (row,) = (row for row in rows if row["id"] == body["id"])
    assert row["revoked"] is not None


def test_a_key_makes_only_keys_within_its_own_scopes(create: Create) -> None:
    keeper = _bearer(create("keeper", ("keys", "read")).json()["key"])
    assert create("wide", ("read", "train"), keeper).status_code == 403
    assert create("narrow", ("read",), keeper).status_code == 201


def test_a_key_revokes_only_what_it_could_have_made(
    client: TestClient, database: sa.Engine, make_key: MakeKey
) -> None:
    keeper, _ = make_key("keys", "read")
    _, wide = make_key("keys", "train")
    _, narrow = make_key("read")
    refusal = client.delete(f"/keys/{wide.id}", headers=_bearer(keeper))
    assert (refusal.status_code, refusal.json()["type"]) == (403, "urn:kao:problem:forbidden")
    assert "train" in refusal.json()["detail"]
    assert keys.get(database, wide.id) == wide
    assert client.delete(f"/keys/{narrow.id}", headers=_bearer(keeper)).status_code == 204


def test_the_last_key_that_manages_keys_stays(
    client: TestClient, key: dict[str, str], create: Create, make_key: MakeKey
) -> None:
    rows = client.get("/keys", headers=key).json()["keys"]
    (first,) = (row["id"] for row in rows if "keys" in row["scopes"])
    make_key("read", "train")
    refusal = client.delete(f"/keys/{first}", headers=key)
    assert (refusal.status_code, refusal.json()["type"]) == (409, "urn:kao:problem:last-key")
    assert client.get("/keys", headers=key).status_code == 200
    second = create("second", tuple(keys.SCOPES)).json()["key"]
    assert client.delete(f"/keys/{first}", headers=_bearer(second)).status_code == 204


def test_an_unknown_key_is_404(client: TestClient, key: dict[str, str]) -> None:
    answer = client.delete("/keys/none", headers=key)
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:kao:problem:unknown-key"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "ci"},
        {"name": "ci", "scopes": []},
        {"name": "ci", "scopes": ["root"]},
        {"name": "", "scopes": ["read"]},
        {"name": "a\nb", "scopes": ["read"]},
        {"name": "ci", "scopes": ["read"], "key": "kao_mine"},
    ],
    ids=str,
)
def test_an_invalid_key_request_is_422(
    client: TestClient, key: dict[str, str], body: dict[str, Any]
) -> None:
    assert client.post("/keys", json=body, headers=key).status_code == 422
