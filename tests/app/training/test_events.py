"""The stream of events: complete, numbered, resumable, and it ends."""

import json
import threading
import time

import httpx
import pytest
from fastapi.testclient import TestClient

from models import runs
from models.recipes.recipe import resolve
from models.registry import Registry
from tests.app.conftest import Start
from tests.support.live_app import Live


@pytest.fixture
def run(registry: Registry):
    row, _ = runs.create(registry.engine, resolve({"preset": "smoke"}), {"preset": "smoke"})
    return row["id"]


def _parse(lines):
    found, event = [], {}
    for line in lines:
        if line.startswith(":"):
            continue
        if not line:
            if event:
                found.append(event)
            event = {}
        else:
            name, _, value = line.partition(": ")
            event[name] = value
    return found


def _read(http: httpx.Client, live: Live, key: dict[str, str], run: str, **headers):
    with http.stream("GET", f"{live.url}/train/{run}/events", headers={**key, **headers}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        return _parse(answer.iter_lines())


def test_events_arrive_live_and_resume_by_number(
    start: Start, http: httpx.Client, registry: Registry, run: str, key: dict[str, str]
) -> None:
    live = start()

    def train() -> None:
        _, fence = runs.claim(registry.engine, run)
        for step in range(3):
            runs.record(registry.engine, run, fence, "run.progressed", {"step": step}, True)
            time.sleep(0.3)
        runs.finish(registry.engine, run, fence, "fail", error="planted")

    worker = threading.Thread(target=train)
    worker.start()
    found = _read(http, live, key, run)
    worker.join()
    types = ["run.queued", "run.started", *["run.progressed"] * 3, "run.failed"]
    assert [event["event"] for event in found] == types
    assert [event["id"] for event in found] == ["1", "2", "3", "4", "5", "6"]
    assert json.loads(found[2]["data"])["step"] == 0
    assert _read(http, live, key, run, **{"Last-Event-ID": "4"}) == found[4:]
    after = http.get(f"{live.url}/train/{run}/events?after=5", headers=key)
    assert _parse(after.text.split("\n")) == found[5:]


def test_after_the_end_a_reconnecting_browser_is_told_to_stop(
    client: TestClient, key: dict[str, str], registry: Registry, run: str
) -> None:
    runs.cancel(registry.engine, run)
    answer = client.get(f"/train/{run}/events", headers={**key, "Last-Event-ID": "2"})
    assert answer.status_code == 204


@pytest.mark.parametrize("number", ["x", "-1", "1" * 40])
def test_a_number_that_is_none_is_422(
    client: TestClient, key: dict[str, str], run: str, number: str
) -> None:
    for sent in (
        {"headers": {**key, "Last-Event-ID": number}},
        {"headers": key, "params": {"after": number}},
    ):
        assert client.get(f"/train/{run}/events", **sent).status_code == 422


def test_a_stopping_server_ends_its_streams(
    start: Start, http: httpx.Client, run: str, key: dict[str, str]
) -> None:
    live = start()
    with http.stream("GET", f"{live.url}/train/{run}/events", headers=key) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("event")
        began = time.monotonic()
        live.stop()
        list(lines)
    assert time.monotonic() - began < 4


def test_a_quiet_stream_has_a_heartbeat(
    start: Start, http: httpx.Client, run: str, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.training.events.KEEPALIVE", 0.2)
    live = start()
    with http.stream("GET", f"{live.url}/train/{run}/events", headers=key) as answer:
        assert any(line.startswith(":") for line in answer.iter_lines())
