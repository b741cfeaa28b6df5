"""The body of POST /avatars is parsed as strictly as a query."""

import asyncio
import base64
import json
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.types import Message

from app.avatars.bulk import request as bulk_request
from app.avatars.request.picture_request import PictureRequest
from app.concurrency_limits.body_budget import SMALL, BodyBudget
from models.errors import Overloaded


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
        pytest.param({"seeds": ["a"], "model": "\ud800"}, "model", id="half a character"),
        pytest.param(["a"], "body", id="no-object"),
    ],
)
def test_a_bad_batch_is_named(client: TestClient, body: Any, parameter: str) -> None:
    response = client.post("/avatars", content=json.dumps(body))
    assert (response.status_code, response.json()["parameter"]) == (422, parameter)


@pytest.mark.parametrize(
    ("content", "parameter"),
    [
        pytest.param('{"seeds": ["a"], "size": 16, "size": 32}', "size", id="two-sizes"),
        pytest.param('{"seeds": ["a"], "seeds": ["b"]}', "seeds", id="two-lists"),
        pytest.param('{"seeds": [1e400]}', "seeds", id="too-large-for-a-double"),
        pytest.param('{"seeds": [NaN]}', "body", id="nan"),
        pytest.param('{"seeds": [-Infinity]}', "body", id="infinity"),
    ],
)
def test_what_json_leaves_open_is_refused(client: TestClient, content: str, parameter: str) -> None:
    """A query refuses a repeated name, and no face is that of a seed that was not sent."""
    response = client.post("/avatars", content=content)
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


def test_a_body_is_parsed_once_whatever_it_contains(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    parse = PictureRequest.parse

    def count(*arguments: Any) -> PictureRequest:
        sizes.append(len(arguments[1]))
        return parse(*arguments)

    monkeypatch.setattr(PictureRequest, "parse", count)
    seeds = [str(number) for number in range(1000)]
    faces = bulk_request.parse_body({"seeds": seeds, "mood": "smile"}).faces
    assert [face.seed for face in faces] == seeds
    assert sizes == [2]


def test_a_body_with_more_names_than_any_model_has_is_refused(client: TestClient) -> None:
    body = {"seeds": ["a"], **{f"utm_{number}": "1" for number in range(20_000)}}
    response = client.post("/avatars", json=body)
    assert (response.status_code, response.json()["parameter"]) == (422, "body")


@pytest.mark.parametrize("item", ["1,", "[],", "{},"])
def test_a_body_of_a_million_items_is_refused_before_it_is_parsed(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, item: str
) -> None:
    """Eight million stopped the event loop for seconds, and took 240 MB, for a call."""
    sizes: list[int] = []
    loads = json.loads

    def record(content: Any, **options: Any) -> Any:
        sizes.append(len(content))
        return loads(content, **options)

    monkeypatch.setattr("app.avatars.bulk.request.json.loads", record)
    content = '{"seeds": ["a"], "psi": [' + item * 1_000_000 + "1]}"
    headers = {"content-type": "application/json"}
    response = client.post("/avatars", content=content, headers=headers)
    assert response.status_code == 422
    assert max(sizes, default=0) < 10_000  # of the answer
    assert response.json()["parameter"] == "body"


def test_bodies_in_progress_share_a_budget_of_memory() -> None:
    budget = BodyBudget(total=10 * SMALL, each=4 * SMALL)
    with budget.hold("greedy") as grow:
        for size in range(SMALL, 5 * SMALL, SMALL):
            grow(size)
        with pytest.raises(Overloaded, match="at once"):
            grow(5 * SMALL)
        with budget.hold("greedy") as other, pytest.raises(Overloaded, match="at once"):
            other(SMALL + 1)
        with budget.hold("polite") as other:
            other(2 * SMALL)
    with budget.hold("greedy") as grow:
        grow(4 * SMALL)


def test_small_bodies_are_read_whatever_others_send() -> None:
    budget = BodyBudget(total=2 * SMALL)
    with budget.hold("greedy") as grow:
        grow(2 * SMALL)
        with budget.hold("third") as other, pytest.raises(Overloaded, match="Too many"):
            other(SMALL + 1)
        with budget.hold("polite") as other:
            other(SMALL)


def test_a_body_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(bulk_request, "BODY_SECONDS", 0.01)
    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    with pytest.raises(HTTPException, match="incomplete"):
        asyncio.run(bulk_request.read_body(request, BodyBudget(), None))
