"""The stream of events: complete, numbered, resumable, and it ends."""

import json
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from app.auth import sessions
from models import keys, runs
from models.recipes.recipe import resolve
from models.registry import Registry
from tests.app.conftest import Start
from tests.support.live_app import Live

Event = dict[str, str]


@pytest.fixture
def run(registry: Registry) -> str:
    """The id of a queued run."""
    row, _ = runs.create(registry.engine, resolve({"preset": "smoke"}), {"preset": "smoke"})
    return str(row["id"])


def _parse(lines: Iterable[str]) -> list[Event]:
    events: list[Event] = []
    event: Event = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif event:
            events.append(event)
            event = {}
    return events


def _read(
    http: httpx.Client, live: Live, key: dict[str, str], run: str, **headers: str
) -> list[Event]:
    with http.stream("GET", f"{live.url}/train/{run}/events", headers={**key, **headers}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        return _parse(answer.iter_lines())


def test_events_arrive_live_and_resume_by_number(
    start: Start, http: httpx.Client, registry: Registry, run: str, key: dict[str, str]
) -> None:
    live = start()
    is_read = threading.Event()  # the first event arrived, so the stream is open

    def train() -> None:
        assert is_read.wait(30)
        claim = runs.claim(registry.engine, run)
        assert claim is not None
        for step in range(3):
            runs.record(registry.engine, run, claim[1], "run.progressed", {"step": step}, True)
        runs.finish(registry.engine, run, claim[1], "fail", error="planted")

    def lines(answer: httpx.Response) -> Iterator[str]:
        for line in answer.iter_lines():
            is_read.set()
            yield line

    worker = threading.Thread(target=train)
    worker.start()
    with http.stream("GET", f"{live.url}/train/{run}/events", headers=key) as answer:
        events = _parse(lines(answer))
    worker.join()
    types = ["run.queued", "run.started", *["run.progressed"] * 3, "run.failed"]
    assert [event["event"] for event in events] == types
    assert [event["id"] for event in events] == ["1", "2", "3", "4", "5", "6"]
    assert json.loads(events[2]["data"])["step"] == 0
    assert _read(http, live, key, run, **{"Last-Event-ID": "4"}) == events[4:]
    after = http.get(f"{live.url}/train/{run}/events?after=5", headers=key)
    assert _parse(after.text.split("\n")) == events[5:]


def test_after_the_end_a_reconnecting_browser_is_stopped_by_204(
    client: TestClient, key: dict[str, str], registry: Registry, run: str
) -> None:
    runs.cancel(registry.engine, run)
    answer = client.get(f"/train/{run}/events", headers={**key, "Last-Event-ID": "2"})
    assert answer.status_code == 204


def test_a_number_above_all_others_is_one(
    client: TestClient, key: dict[str, str], registry: Registry, run: str
) -> None:
    runs.cancel(registry.engine, run)
    answer = client.get(f"/train/{run}/events", headers=key, params={"after": "9" * 15})
    assert answer.status_code == 204


@pytest.mark.parametrize("number", ["x", "-1", "1" * 40])
def test_an_invalid_number_is_422(
    client: TestClient, key: dict[str, str], run: str, number: str
) -> None:
    url = f"/train/{run}/events"
    assert client.get(url, headers={**key, "Last-Event-ID": number}).status_code == 422
    assert client.get(url, headers=key, params={"after": number}).status_code == 422


def test_a_stopping_server_ends_its_streams(
    start: Start, http: httpx.Client, run: str, key: dict[str, str]
) -> None:
    live = start()
    with http.stream("GET", f"{live.url}/train/{run}/events", headers=key) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("event")
        live.stop()
        list(lines)  # ends, or httpx's timeout raises


def test_a_quiet_stream_sends_comments(
    start: Start,
    http: httpx.Client,
    run: str,
    key: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.training.events.KEEPALIVE", 0.2)
    live = start()
    with http.stream("GET", f"{live.url}/train/{run}/events", headers=key) as answer:
        assert any(line.startswith(":") for line in answer.iter_lines())


def test_a_revoked_key_ends_its_open_streams(
    start: Start, http: httpx.Client, registry: Registry, run: str
) -> None:
    live = start()
    secret, key = keys.create(registry.engine, "reader", ["read"])
    headers = {"Authorization": f"Bearer {secret}"}
    with http.stream("GET", f"{live.url}/train/{run}/events", headers=headers) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: run.queued"
        keys.revoke(registry.engine, key.id)
        events = _parse(lines)  # ends, or httpx's timeout raises
    runs.cancel(registry.engine, run)
    assert [event.get("event") for event in events if "event" in event] == []
    assert http.get(f"{live.url}/train/{run}/events", headers=headers).status_code == 401


def test_an_expired_session_ends_its_open_streams(
    start: Start, http: httpx.Client, run: str, key: dict[str, str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(sessions, "LIFETIME", 3)
    live = start()
    secret = key["Authorization"].split()[1]
    login = http.post(f"{live.url}/session", json={"key": secret}, headers={"Origin": live.url})
    assert login.status_code == 200
    with http.stream("GET", f"{live.url}/train/{run}/events") as answer:
        assert answer.status_code == 200
        list(answer.iter_lines())  # ends, or httpx's timeout raises
    assert time.time() >= login.json()["expires"]
