"""Keys over HTTP: shown once, never wider than the key that makes them, revoked for good."""

import pytest
from fastapi.testclient import TestClient


@pytest.fixture
def create(client: TestClient, key: dict[str, str]):
    def make(name="ci", scopes=("read",), headers=key):
        return client.post("/keys", json={"name": name, "scopes": list(scopes)}, headers=headers)

    return make


def _bearer(answer):
    return {"Authorization": f"Bearer {answer.json()['key']}"}


def test_a_key_is_shown_once_and_works(client: TestClient, key: dict[str, str], create) -> None:
    answer = create(scopes=("train", "read"))
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    assert made["scopes"] == ["read", "train"]
    assert client.get("/train", headers=_bearer(answer)).status_code == 200
    listed = client.get("/keys", headers=key)
    assert made["key"] not in listed.text
    told = {name: made[name] for name in made if name != "key"}
    assert told in listed.json()["keys"]
    assert answer.headers["location"] == f"/keys/{made['id']}"


def test_a_revoked_key_is_listed_as_such_and_opens_nothing(
    client: TestClient, key: dict[str, str], create
) -> None:
    answer = create()
    id = answer.json()["id"]
    for _ in range(2):
        assert client.delete(f"/keys/{id}", headers=key).status_code == 204
    assert client.get("/train", headers=_bearer(answer)).status_code == 401
    (row,) = (row for row in client.get("/keys", headers=key).json()["keys"] if row["id"] == id)
    assert row["revoked"] is not None


def test_nobody_gives_away_more_than_they_have(create) -> None:
    keeper = create("keeper", ["keys", "read"])
    assert create("wide", ["read", "train"], _bearer(keeper)).status_code == 403
    assert create("narrow", ["read"], _bearer(keeper)).status_code == 201


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
def test_a_body_that_asks_for_no_key_is_422(client: TestClient, key: dict[str, str], body) -> None:
    assert client.post("/keys", json=body, headers=key).status_code == 422
