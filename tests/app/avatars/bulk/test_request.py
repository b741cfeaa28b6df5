"""The body of POST /avatars is parsed as strictly as a query."""

import base64
from typing import Any

import pytest
from starlette.testclient import TestClient


def test_numbers_are_seeds_and_parameters_too(client: TestClient) -> None:
    body = {"seeds": [42], "psi": 0.5}
    line = client.post("/avatars", json=body, headers={"Accept": "application/x-ndjson"}).json()
    assert client.get("/avatar?seed=42&psi=0.5&model=" + line["address"][-64:]).content == (
        base64.b64decode(line["content"])
    )


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        pytest.param({}, "seeds", id="no-seeds"),
        pytest.param({"seeds": []}, "seeds", id="empty"),
        pytest.param({"seeds": ["a"] * 1001}, "seeds", id="too-many"),
        pytest.param({"seeds": "a"}, "seeds", id="no-list"),
        pytest.param({"seeds": [None]}, "seeds", id="null"),
        pytest.param({"seeds": [True]}, "seeds", id="true"),
        pytest.param({"seeds": ["a"], "size": 15}, "size", id="below-smallest"),
        pytest.param({"seeds": ["a"], "size": True}, "size", id="size-true"),
        pytest.param({"seeds": ["a"], "seed": "a"}, "seed", id="unknown"),
        pytest.param({"seeds": ["a"], "distinct": "yes"}, "distinct", id="distinct-text"),
        pytest.param(
            {"seeds": ["a"], "distinct": True, "variant": 1}, "distinct", id="distinct-variant"
        ),
        pytest.param(["a"], "body", id="no-object"),
    ],
)
def test_a_bad_batch_is_named(client: TestClient, body: Any, parameter: str) -> None:
    response = client.post("/avatars", json=body)
    assert (response.status_code, response.json()["parameter"]) == (422, parameter)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000], ids=len)
def test_a_body_that_is_not_json_is_422(client: TestClient, content: bytes) -> None:
    assert client.post("/avatars", content=content).status_code == 422


def test_an_invalid_seed_is_refused_before_anything_is_sent(client: TestClient) -> None:
    response = client.post("/avatars", content=b'{"seeds": ["a", "\\ud800"]}')
    assert response.json()["type"].endswith("invalid-seed")
    response = client.post("/avatars", json={"seeds": ["a", "x" * 4097]})
    assert "4097" in response.json()["detail"]


def test_a_body_above_the_limit_is_413(client: TestClient) -> None:
    assert client.post("/avatars", content=b" " * (8 * 2**20 + 1)).status_code == 413
