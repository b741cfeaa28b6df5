"""Runs over HTTP: start, read, cancel, resume."""

import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from fastapi.testclient import TestClient
from httpx2 import Response

from app.training import queue
from kao import embedded_valkey
from models import runs, settings as settings_module
from models.datasets import catalogue
from models.errors import QueueRefuses
from models.recipes.presets import PRESETS
from models.registry import Registry
from models.settings import Settings

SMOKE = {"preset": "smoke", "dataset": "starter"}


@pytest.fixture
def new_run(client: TestClient, key: dict[str, str]) -> Response:
    """The answer to `POST /train`."""
    return client.post("/train", json=SMOKE, headers=key)


def test_without_pytorch_a_run_is_refused_with_what_to_install(
    client: TestClient, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_module, "find_spec", lambda _: None)
    answer = client.post("/train", json={"preset": "smoke"}, headers=key)
    assert answer.status_code == 501
    assert answer.json()["type"].endswith(":training-not-installed")
    assert "pip install 'kao[worker]'" in answer.json()["detail"]
    assert client.get("/train", headers=key).json()["runs"] == []


def test_workers_elsewhere_may_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_module, "find_spec", lambda _: None)
    assert Settings(redis_url="redis://elsewhere:6379/0").can_train
    assert not Settings().can_train


def test_a_run_is_accepted_while_redis_is_down(
    client: TestClient, key: dict[str, str], new_run: Response
) -> None:
    assert new_run.status_code == 202
    run = new_run.json()
    assert new_run.headers["location"] == f"/train/{run['id']}"
    assert run["state"] == "queued"
    assert run["recipe"]["resolution"] == 16
    assert client.get(new_run.headers["location"], headers=key).json() == run


def test_an_unreachable_queue_costs_seconds_at_most(settings: Settings) -> None:
    start = time.monotonic()
    assert queue.wake(settings) is False
    assert time.monotonic() - start < 6


def test_a_frozen_redis_costs_seconds_at_most(tmp_path: Path) -> None:
    with socket.socket() as frozen:
        frozen.bind(("127.0.0.1", 0))
        frozen.listen()
        port = frozen.getsockname()[1]
        start = time.monotonic()
        assert queue.wake(Settings(home=tmp_path, redis_url=f"redis://127.0.0.1:{port}/0")) is False
        assert time.monotonic() - start < 6


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param({"preset": "none"}, ", ".join(sorted(PRESETS)), id="unknown-preset"),
        pytest.param({"preset": []}, "preset", id="preset-of-another-kind"),
        pytest.param({"batch": 0}, "batch: Input should be greater than or equal to 2", id="range"),
        pytest.param({"speed": 1}, "speed", id="unknown-field"),
        pytest.param({"generator": {"beta1": 7}}, "generator.beta1", id="nested"),
        pytest.param({"generator": None}, "generator", id="no-optimiser"),
        pytest.param({"dataset": "none"}, "GET /datasets", id="unknown-dataset"),
        pytest.param({"dataset": "../x"}, "GET /datasets", id="dataset-is-no-path"),
        pytest.param({"dataset": "\ud800"}, "dataset", id="dataset-is-no-text"),
        pytest.param({"preset": "classic", "resolution": 64}, "96", id="does-not-fit"),
    ],
)
def test_the_refusal_of_a_recipe_says_why(
    client: TestClient, key: dict[str, str], body: Any, reason: str
) -> None:
    headers = {**key, "content-type": "application/json"}
    answer = client.post("/train", content=json.dumps(body), headers=headers)
    assert answer.status_code == (404 if reason == "GET /datasets" else 422)
    assert reason in answer.json()["detail"]
    assert client.get("/train", headers=key).json()["runs"] == []


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"1", b"[" * 20_000, b"\xff"])
def test_a_body_that_is_no_object_is_a_problem(
    client: TestClient, key: dict[str, str], content: bytes
) -> None:
    headers = {**key, "content-type": "application/json"}
    answer = client.post("/train", content=content, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_body_is_small(client: TestClient, key: dict[str, str], is_streamed: bool) -> None:
    content = json.dumps({"preset": "x" * 100_000}).encode()
    headers = {**key, "content-type": "application/json"}
    body = iter([content[:50_000], content[50_000:]]) if is_streamed else content
    answer = client.post("/train", content=body, headers=headers)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_idempotency_key_makes_one_run(client: TestClient, key: dict[str, str]) -> None:
    headers = {**key, "Idempotency-Key": "once"}
    first = client.post("/train", json=SMOKE, headers=headers)
    again = client.post("/train", json=SMOKE, headers=headers)
    assert again.status_code == 202
    assert again.headers["location"] == first.headers["location"]
    other = client.post("/train", json={**SMOKE, "batch": 4}, headers=headers)
    assert other.status_code == 409
    assert len(client.get("/train", headers=key).json()["runs"]) == 1
    long = client.post("/train", json=SMOKE, headers={**key, "Idempotency-Key": "x" * 201})
    assert long.status_code == 422


def test_an_idempotency_key_gives_the_same_run_whatever_changed_since(
    client: TestClient, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {**key, "Idempotency-Key": "once"}
    first = client.post("/train", json=SMOKE, headers=headers)

    def refuse(*_: Any) -> None:
        raise QueueRefuses("The disk is full")

    monkeypatch.setattr(queue, "check", refuse)
    monkeypatch.setattr(catalogue, "check_recipe", refuse)
    assert client.post("/train", json=SMOKE, headers=key).status_code == 503
    again = client.post("/train", json=SMOKE, headers=headers)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])


def test_runs_are_listed_by_state_newest_first(client: TestClient, key: dict[str, str]) -> None:
    ids = [client.post("/train", json=SMOKE, headers=key).json()["id"] for _ in range(3)]
    client.post(f"/train/{ids[1]}/cancel", headers=key)
    rows = client.get("/train?state=queued", headers=key).json()["runs"]
    assert [run["id"] for run in rows] == [ids[2], ids[0]]
    assert len(client.get("/train?limit=1", headers=key).json()["runs"]) == 1
    for query in ("state=lost", "limit=0", "limit=x", "order=up", "limit=1&limit=2"):
        assert client.get(f"/train?{query}", headers=key).status_code == 422


def test_cancel_then_resume_then_not_again(
    client: TestClient, key: dict[str, str], new_run: Response
) -> None:
    address = new_run.headers["location"]
    assert "resume" not in new_run.json()["links"]
    cancellation = client.post(f"{address}/cancel", headers=key)
    assert (cancellation.status_code, cancellation.json()["state"]) == (202, "cancelled")
    assert client.post(f"{address}/cancel", headers=key).status_code == 409
    resumption = client.post(cancellation.json()["links"]["resume"], headers=key)
    assert (resumption.status_code, resumption.json()["state"]) == (202, "queued")
    assert client.post(f"{address}/resume", headers=key).status_code == 409
    change = client.post(f"{address}/resume", headers=key, json={"gamma": 3})
    assert (change.status_code, change.json()["recipe"]["gamma"]) == (202, 3)
    shape = client.post(f"{address}/resume", headers=key, json={"width": 64})
    assert shape.status_code == 422


def test_a_running_run_is_cancelled_at_its_next_step(
    client: TestClient, key: dict[str, str], new_run: Response, registry: Registry
) -> None:
    run = new_run.json()["id"]
    runs.claim(registry.engine, run)
    row = client.post(f"/train/{run}/cancel", headers=key).json()
    assert (row["state"], row["cancelling"]) == ("running", True)


@pytest.mark.parametrize("path", ["", "/events", "/sheets", "/sheets/latest.png"])
def test_an_unknown_run_is_404(client: TestClient, key: dict[str, str], path: str) -> None:
    assert client.get(f"/train/none{path}", headers=key).status_code == 404


def test_sheets_are_listed_and_served(
    client: TestClient, key: dict[str, str], new_run: Response, settings: Settings
) -> None:
    run, address = new_run.json()["id"], new_run.headers["location"]
    assert client.get(f"{address}/sheets/latest.png", headers=key).status_code == 404
    folder = settings.home / "runs" / run / "sheets"
    folder.mkdir(parents=True)
    for name in ("000000320.png", "000000640.png", "secret.txt"):
        (folder / name).write_bytes(name.encode())
    sheets = client.get(f"{address}/sheets", headers=key).json()
    assert sheets == [f"{address}/sheets/000000320.png", f"{address}/sheets/000000640.png"]
    assert client.get(sheets[0], headers=key).content == b"000000320.png"
    assert client.get(f"{address}/sheets/latest.png", headers=key).content == b"000000640.png"
    for name in ("secret.txt", "..%2f..%2fx.png"):
        assert client.get(f"{address}/sheets/{name}", headers=key).status_code == 404


def test_a_wake_up_is_in_the_queue_of_workers(settings: Settings) -> None:
    binary = embedded_valkey.find_server()
    if binary is None:
        pytest.skip("no Valkey or Redis server here")
    server = subprocess.Popen(embedded_valkey.command(settings, binary))
    try:
        with redis.Redis(unix_socket_path=str(settings.redis_socket)) as client:
            deadline = time.monotonic() + 30
            while not queue.wake(settings):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            (message,) = client.lrange("train", 0, -1)
            assert json.loads(message)["headers"]["task"] == "kao.train"
    finally:
        server.terminate()
        server.wait(10)


def test_two_keys_may_use_the_same_idempotency_key(client: TestClient, key: dict[str, str]) -> None:
    body = {"name": "other", "scopes": ["train"]}
    secret = client.post("/keys", json=body, headers=key).json()["key"]
    other = {"Authorization": f"Bearer {secret}", "Idempotency-Key": "once"}
    first = client.post("/train", json=SMOKE, headers={**key, "Idempotency-Key": "once"})
    second = client.post("/train", json={**SMOKE, "batch": 4}, headers=other)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["id"] != second.json()["id"]


def test_presets_have_two_addresses_and_neither_is_a_run(
    client: TestClient, key: dict[str, str]
) -> None:
    """`GET /train/presets` is in error texts of version 0.1, where it was an unknown run."""
    answers = [client.get(path, headers=key).json() for path in ("/presets", "/train/presets")]
    assert answers[0] == answers[1]
    assert {preset["name"] for preset in answers[0]["presets"]} == set(PRESETS)


def test_a_run_has_a_name_and_a_note_and_takes_others(
    client: TestClient, key: dict[str, str]
) -> None:
    run = client.post("/train?name=+First%20try+&note=why", json=SMOKE, headers=key).json()
    assert (run["name"], run["note"]) == ("First try", "why")
    path = run["links"]["self"]
    answer = client.patch(path, json={"name": "第二次"}, headers=key)
    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["note"]) == ("第二次", "why")
    assert client.patch(path, json={"note": ""}, headers=key).json()["note"] is None
    assert client.get(path, headers=key).json()["name"] == "第二次"
    assert client.get(path, headers=key).json()["recipe"] == run["recipe"]


@pytest.mark.parametrize(
    "body", [{"name": "x" * 81}, {"note": "a\0b"}, {"title": "x"}, {"name": 3}]
)
def test_a_name_that_cannot_be_is_refused(
    client: TestClient, key: dict[str, str], new_run: Response, body: dict[str, Any]
) -> None:
    path = new_run.headers["location"]
    assert client.patch(path, json=body, headers=key).status_code == 422
    assert client.patch(path, json={"name": "x"}).status_code == 401
    assert client.patch("/train/none", json={"name": "x"}, headers=key).status_code == 404
