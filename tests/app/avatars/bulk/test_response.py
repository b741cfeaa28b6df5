"""Many faces in one response, while others are served."""

import base64
import io
import json
import time
import zipfile
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from app.avatars import service
from app.avatars.bulk import response as bulk
from app.avatars.bulk.distinct import MOST_VARIANTS
from app.avatars.generate.engine import Engine
from app.avatars.request.picture_request import PictureRequest
from app.concurrency_limits.batch_slots import BatchSlots
from app.errors import TooManyRequests
from app.rate_limits.limiter import Limiter
from models.errors import Overloaded
from models.registry import Registry
from tests.support.app_client import state_of
from tests.support.live_app import Live

LINES = {"Accept": "application/x-ndjson"}


def _post_lines(client: TestClient, body: dict[str, Any]) -> list[dict[str, Any]]:
    response = client.post("/avatars", json=body, headers=LINES)
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


def test_a_zip_has_each_face_as_get_draws_it(client: TestClient) -> None:
    response = client.post(
        "/avatars", json={"seeds": ["a", "顔", ""], "size": 32, "format": "webp"}
    )
    assert response.headers["content-type"] == "application/zip"
    assert response.headers["cache-control"] == "no-store"
    archive = zipfile.ZipFile(io.BytesIO(response.content))
    assert archive.namelist() == ["0000.webp", "0001.webp", "0002.webp", "index.json"]
    index = json.loads(archive.read("index.json"))
    assert [row["seed"] for row in index.values()] == ["a", "顔", ""]
    for name, row in index.items():
        assert client.get(row["address"]).content == archive.read(name)


def test_the_index_of_a_zip_describes_each_face(choosy: TestClient) -> None:
    response = choosy.post("/avatars", json={"seeds": ["a", "b"], "size": 16, "colour": "blue"})
    assert response.status_code == 200, response.text
    index = json.loads(zipfile.ZipFile(io.BytesIO(response.content)).read("index.json"))
    for row in index.values():
        address = row["address"].replace("format=png", "format=json")
        description = choosy.get(address).json()
        assert row["traits"] == description["traits"]
        assert row["traits"]["colour"] == "blue"
        assert row["alt"] == description["alt"]


def test_each_line_has_its_number(client: TestClient) -> None:
    lines = _post_lines(client, {"seeds": ["a", "b"], "size": 16})
    assert [(line["done"], line["of"], line["type"]) for line in lines] == [
        (1, 2, "image/png"),
        (2, 2, "image/png"),
    ]
    for line in lines:
        assert client.get(line["address"]).content == base64.b64decode(line["content"])


def test_equal_bodies_get_equal_bytes(client: TestClient) -> None:
    body = {"seeds": [str(number) for number in range(8)], "distinct": True}
    assert client.post("/avatars", json=body).content == client.post("/avatars", json=body).content


def test_an_unknown_model_is_404_here_too(client: TestClient) -> None:
    assert client.post("/avatars", json={"seeds": ["a"], "model": "0" * 64}).status_code == 404


def test_a_full_queue_makes_a_batch_wait(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []
    render = service.render

    async def overload_twice(
        engine: Engine, version: str, face: PictureRequest, client: Hashable
    ) -> bytes:
        tries.append(version)
        if len(tries) < 3:
            raise Overloaded("full")
        return await render(engine, version, face, client)

    monkeypatch.setattr(service, "render", overload_twice)
    monkeypatch.setattr(bulk, "RETRY_INTERVAL", 0.001)
    assert len(_post_lines(client, {"seeds": ["a"]})) == 1
    assert len(tries) == 3


def test_one_batch_too_many_is_503_with_retry_after(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = state_of(client)
    full = replace(state, batches=BatchSlots(total=0))
    monkeypatch.setattr(client.app.state, "kao", full)  # type: ignore[attr-defined]
    response = client.post("/avatars", json={"seeds": ["a"]})
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


def test_single_faces_are_served_during_a_batch_of_1000(
    start: Callable[..., Live], registry: Registry, http: httpx.Client
) -> None:
    url, seeds = start().url, [f"member {number}" for number in range(1000)]

    def post_all() -> list[dict[str, Any]]:
        body = {"seeds": seeds, "size": 64}
        with http.stream(
            "POST", f"{url}/avatars", json=body, headers=LINES, timeout=300
        ) as response:
            return [json.loads(line) for line in response.iter_lines()]

    singles: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        batch = pool.submit(post_all)
        while not batch.done():
            start_time = time.monotonic()
            singles.append(http.get(f"{url}/avatar?seed=single {len(singles)}").status_code)
            assert time.monotonic() - start_time < 10, "a single face waited for the batch"
    assert set(singles) == {200}
    assert len(singles) > 10
    assert [line["seed"] for line in batch.result()] == seeds


def test_a_disconnected_batch_makes_room(
    start: Callable[..., Live], registry: Registry, http: httpx.Client
) -> None:
    live = start()
    for _ in range(6):  # more than run at once
        body = {"seeds": ["a"] * 1000, "size": 1024}
        with http.stream("POST", f"{live.url}/avatars", json=body, timeout=60) as response:
            assert response.status_code == 200
            next(response.iter_raw())
    status, deadline = 503, time.monotonic() + 60
    while status == 503 and time.monotonic() < deadline:
        status = http.post(f"{live.url}/avatars", json={"seeds": ["a"]}).status_code
    assert status == 200


def test_what_the_model_refuses_is_refused_before_the_response_starts(client: TestClient) -> None:
    response = client.post("/avatars", json={"seeds": ["1", "2"], "best_of": 4})
    assert response.status_code == 422
    assert response.json()["type"] == "urn:kao:problem:no-critic"
    # The refused batch made room for this one.
    assert client.post("/avatars", json={"seeds": ["1"]}).status_code == 200


def test_slow_readers_of_one_client_leave_slots_to_others() -> None:
    slots = BatchSlots(total=3, each=2)
    with slots.take("drip"), slots.take("drip"):
        with pytest.raises(Overloaded, match="2 of your batches"):
            slots.check("drip")
        with slots.take("other"), pytest.raises(Overloaded, match="Too many"):
            slots.check("third")
    with slots.take("drip"):
        slots.check("drip")


def test_a_batch_has_a_lifetime(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "LIFETIME", -1.0)
    response = client.post("/avatars", json={"seeds": ["a"]})
    assert response.status_code == 503


def test_a_full_queue_does_not_prolong_a_batch(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def overload(*_: object) -> bytes:
        raise Overloaded("full")

    monkeypatch.setattr(service, "render", overload)
    monkeypatch.setattr(bulk, "RETRY_INTERVAL", 0.001)
    monkeypatch.setattr(bulk, "LIFETIME", 0.1)
    response = client.post("/avatars", json={"seeds": ["a"]})
    assert response.status_code == 503
    assert "was not finished within" in response.json()["detail"]


@pytest.mark.parametrize(
    ("accept", "type"),
    [
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/zip, application/x-ndjson;q=0", "application/zip"),
        ("application/zip, application/x-ndjson;q=0.1", "application/zip"),
        ("application/zip;q=0.1, application/x-ndjson", "application/x-ndjson"),
        ("*/*", "application/zip"),
    ],
)
def test_the_accept_header_chooses_the_type(client: TestClient, accept: str, type: str) -> None:
    answer = client.post("/avatars", json={"seeds": ["a"]}, headers={"Accept": accept})
    assert answer.headers["content-type"] == type


def test_every_variant_of_a_distinct_batch_is_charged(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    charges: list[float] = []

    async def charge(_: Limiter, __: Any, faces: float) -> dict[str, str]:
        charges.append(faces)
        return {}

    monkeypatch.setattr(Limiter, "charge_pictures", charge)
    # The average face each time, so that all variants of the second and third are tried.
    _post_lines(client, {"seeds": ["a", "b", "c"], "psi": 0, "distinct": True})
    assert charges == [3, *[1] * 2 * (MOST_VARIANTS - 1)]


def test_a_distinct_batch_waits_for_the_quota_instead_of_failing(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals: list[float] = []

    async def refuse_once(_: Limiter, __: Any, faces: float) -> dict[str, str]:
        if faces == 1 and not refusals:
            refusals.append(faces)
            raise TooManyRequests("later", {"Retry-After": "0"})
        return {}

    monkeypatch.setattr(Limiter, "charge_pictures", refuse_once)
    lines = _post_lines(client, {"seeds": ["a", "a"], "psi": 0, "distinct": True})
    assert len(lines) == 2
    assert refusals
