"""Many faces in one answer, while others are served."""

import base64
import io
import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from app.avatars.bulk import response
from app.avatars.bulk.distinct import SIMILAR, Team
from app.avatars.request.picture_request import PictureRequest
from app.avatars.request.picture_types import AVATAR
from models.bundle import verify
from models.errors import Overloaded
from models.registry import Registry

LINES = {"Accept": "application/x-ndjson"}


def _lines(answer):
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_a_zip_has_each_face_as_get_draws_it(client: TestClient) -> None:
    answer = client.post("/avatars", json={"seeds": ["a", "顔", ""], "size": 32, "format": "webp"})
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["cache-control"] == "no-store"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.namelist() == ["0000.webp", "0001.webp", "0002.webp", "index.json"]
    index = json.loads(archive.read("index.json"))
    assert [row["seed"] for row in index.values()] == ["a", "顔", ""]
    for name, row in index.items():
        assert client.get(row["address"]).content == archive.read(name)


def test_lines_tell_how_far_it_is(client: TestClient) -> None:
    lines = _lines(client.post("/avatars", json={"seeds": ["a", "b"], "size": 16}, headers=LINES))
    assert [(line["done"], line["of"], line["type"]) for line in lines] == [
        (1, 2, "image/png"),
        (2, 2, "image/png"),
    ]
    for line in lines:
        assert client.get(line["address"]).content == base64.b64decode(line["content"])


def test_the_same_batch_is_the_same_bytes(client: TestClient) -> None:
    body = {"seeds": [str(number) for number in range(8)], "distinct": True}
    assert client.post("/avatars", json=body).content == client.post("/avatars", json=body).content


def test_numbers_are_seeds_and_parameters_too(client: TestClient) -> None:
    (line,) = _lines(client.post("/avatars", json={"seeds": [42], "psi": 0.5}, headers=LINES))
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
def test_a_bad_batch_is_named(client: TestClient, body, parameter) -> None:
    answer = client.post("/avatars", json=body)
    assert (answer.status_code, answer.json()["parameter"]) == (422, parameter)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000], ids=len)
def test_what_is_no_json_is_422(client: TestClient, content) -> None:
    assert client.post("/avatars", content=content).status_code == 422


def test_a_seed_that_cannot_be_one_is_told_before_anything_is_sent(client: TestClient) -> None:
    answer = client.post("/avatars", content=b'{"seeds": ["a", "\\ud800"]}')
    assert answer.json()["type"].endswith("invalid-seed")
    answer = client.post("/avatars", json={"seeds": ["a", "x" * 4097]})
    assert "4097" in answer.json()["detail"]


def test_a_body_above_the_limit_is_413(client: TestClient) -> None:
    assert client.post("/avatars", content=b" " * (8 * 2**20 + 1)).status_code == 413


def test_an_unknown_model_is_404_here_too(client: TestClient) -> None:
    assert client.post("/avatars", json={"seeds": ["a"], "model": "0" * 64}).status_code == 404


def test_a_full_queue_makes_a_batch_wait(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries, drawn = [], response.service.render

    async def full_at_first(*words):
        tries.append(words)
        if len(tries) < 3:
            raise Overloaded("full")
        return await drawn(*words)

    monkeypatch.setattr(response.service, "render", full_at_first)
    monkeypatch.setattr(response, "RETRY_INTERVAL", 0.001)
    assert len(_lines(client.post("/avatars", json={"seeds": ["a"]}, headers=LINES))) == 1
    assert len(tries) == 3


def test_more_batches_than_are_drawn_at_once_are_told_to_come_back(client: TestClient) -> None:
    held = client.app.state.kao
    held.batches._value = 0
    answer = client.post("/avatars", json={"seeds": ["a"]})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_single_faces_are_served_during_a_batch_of_1000(start, registry: Registry, http) -> None:
    url, seeds = start().url, [f"member {number}" for number in range(1000)]

    def whole():
        body = {"seeds": seeds, "size": 64}
        with http.stream("POST", f"{url}/avatars", json=body, headers=LINES, timeout=300) as answer:
            return [json.loads(line) for line in answer.iter_lines()]

    singles = []
    with ThreadPoolExecutor(1) as pool:
        batch = pool.submit(whole)
        while not batch.done():
            began = time.monotonic()
            singles.append(http.get(f"{url}/avatar?seed=single {len(singles)}").status_code)
            assert time.monotonic() - began < 10, "a face waited for the batch"
    assert set(singles) == {200}
    assert len(singles) > 10
    assert [line["seed"] for line in batch.result()] == seeds


def test_who_leaves_a_batch_frees_its_place(start, registry: Registry, http) -> None:
    live = start()
    for _ in range(6):  # more than are drawn at once
        body = {"seeds": ["a"] * 1000, "size": 1024}
        with http.stream("POST", f"{live.url}/avatars", json=body, timeout=60) as answer:
            assert answer.status_code == 200
            next(answer.iter_raw())
    answered, until = 503, time.monotonic() + 60
    while answered == 503 and time.monotonic() < until:
        answered = http.post(f"{live.url}/avatars", json={"seeds": ["a"]}).status_code
    assert answered == 200


@pytest.fixture
def drawer(registry: Registry, versions: list[str]):
    """The first model."""
    return verify.verify(registry.folder(versions[0]), versions[0])


def _variant(team: Team, seed: str, **texts: str) -> int:
    request, _ = team.add(PictureRequest.parse(AVATAR, {"seed": seed, **texts}))
    variant: int = request.values["variant"]
    return variant


def test_a_team_shares_no_face(drawer) -> None:
    team = Team(drawer)
    first, second, third = (_variant(team, seed) for seed in ("a", "a", "a"))
    assert first == 0
    assert len({first, second, third}) == 3


def test_who_was_there_before_keeps_the_face(drawer) -> None:
    alone, together = Team(drawer), Team(drawer)
    before = [_variant(alone, seed) for seed in "abcdef"]
    assert [_variant(together, seed) for seed in "abcdefgh"][:6] == before


def test_where_all_are_alike_the_least_alike_is_taken(drawer) -> None:
    team = Team(drawer)
    # The average face, for any seed.
    assert [_variant(team, seed, psi="0") for seed in "ab"] == [0, 0]
    assert SIMILAR > 0


def test_what_the_model_refuses_is_refused_before_the_answer_begins(client: TestClient) -> None:
    answer = client.post("/avatars", json={"seeds": ["1", "2"], "best_of": 4})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:kao:problem:no-critic"
    # The refusal gave its place among the batches back.
    assert client.post("/avatars", json={"seeds": ["1"]}).status_code == 200
