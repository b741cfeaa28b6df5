"""The clients follow a run to its end, over lost connections and restarts of the server."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import httpx
import pytest
from starlette.requests import Request

from app.concurrency_limits.stream_slots import Slot, StreamSlots
from app.problems import SENT_COUNTS
from app.state import AppState
from app.training import events
from kao_client import AsyncClient, Client, Event, Refused
from kao_client.events import EventReader
from models import keys, runs
from models.recipes.recipe import resolve
from models.registry import Registry
from models.settings import Settings
from tests.app.conftest import KEY, Start
from tests.clients.python.conftest import Caller
from tests.support.live_app import running
from tests.support.waiting import free_port, wait


def test_a_run_cannot_be_followed_without_a_key(kao: Caller, url: str, run: str) -> None:
    kao.key = None
    with pytest.raises(Refused, match="API key"):
        kao.follow(url, run)


def _work(registry: Registry, run: str, steps: int) -> None:
    """Write the events of a run as a worker does."""
    claim = runs.claim(registry.engine, run)
    assert claim is not None
    fence = claim[1]
    for step in range(steps):
        runs.record(registry.engine, run, fence, "run.progressed", {"step": step}, True)
    runs.finish(registry.engine, run, fence, "fail", error="planted")


def test_a_run_is_followed_to_its_end(kao: Caller, url: str, registry: Registry, run: str) -> None:
    worker = threading.Thread(target=_work, args=(registry, run, 3))
    worker.start()
    events = kao.follow(url, run)
    worker.join()
    types = ["run.queued", "run.started", *["run.progressed"] * 3, "run.failed"]
    assert [event.type for event in events] == types
    assert [event.number for event in events] == list(range(1, 7))
    assert events[3].data["step"] == 1
    assert kao.follow(url, run, after=4) == events[4:]


def test_each_event_comes_once_although_every_connection_breaks(
    kao: Caller, url: str, registry: Registry, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _work(registry, run, 4)
    follow = events._follow
    breaks: list[int] = []

    async def broken(
        state: AppState, request: Request, run: str, number: int, slot: Slot
    ) -> AsyncIterator[bytes]:
        # Break after one event and half of the next, as when a proxy restarts.
        pieces = [piece async for piece in follow(state, request, run, number, slot)]
        yield pieces[0]
        if len(pieces) > 1:
            breaks.append(number)
            yield pieces[1][: len(pieces[1]) // 2]
            raise ConnectionResetError

    monkeypatch.setattr(events, "_follow", broken)
    assert [event.number for event in kao.follow(url, run)] == [1, 2, 3, 4, 5, 6, 7]
    assert len(breaks) == 6


def test_a_client_waits_until_fewer_streams_are_open(
    kao: Caller, start: Start, registry: Registry, run: str
) -> None:
    live = start()
    slots = StreamSlots(each=1)
    app = live.server.config.app
    app.state.kao = replace(live.server.state, streams=slots)  # type: ignore[union-attr]
    _work(registry, run, 1)
    refusals = SENT_COUNTS["too-many-requests"]
    busy, is_refused = threading.Event(), threading.Event()

    def wait_and_free() -> None:
        key = keys.find(registry.engine, KEY)
        assert key is not None
        with slots.take(f"key {key.id}"):
            busy.set()
            wait(lambda: SENT_COUNTS["too-many-requests"] > refusals, 60, "the client was refused")
            is_refused.set()

    other = threading.Thread(target=wait_and_free)
    other.start()
    assert busy.wait(30)
    assert [event.number for event in kao.follow(live.url, run)] == [1, 2, 3, 4]
    assert is_refused.is_set()
    other.join()


def test_a_client_waits_for_a_server_that_restarts(
    kao: Caller,
    start: Start,
    registry: Registry,
    run: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = start()
    _work(registry, run, 2)
    port = int(first.url.rsplit(":", 1)[1])
    first.stop()
    while _is_reachable(port):
        time.sleep(0.05)
    has_failed = threading.Event()  # the client tried to connect, in vain
    pause = EventReader.pause

    def note_failure(reader: EventReader, error: Exception | None) -> float:
        if error is not None:
            has_failed.set()
        return pause(reader, error)

    monkeypatch.setattr(EventReader, "pause", note_failure)

    def restart() -> None:
        assert has_failed.wait(30)
        start(port)

    restarting = threading.Thread(target=restart)
    restarting.start()
    assert len(kao.follow(first.url, run, patience=60)) == 5
    restarting.join()


@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "coroutine"])
def test_events_survive_a_restart_of_the_server(
    settings: Settings, registry: Registry, is_async: bool
) -> None:
    row, _ = runs.create(registry.engine, resolve({"preset": "smoke"}), {"preset": "smoke"})
    claim = runs.claim(registry.engine, row["id"])
    assert claim is not None
    port, run, fence = free_port(), str(row["id"]), claim[1]
    received_events: list[Event] = []
    has_first = threading.Event()

    def collect(events: Iterator[Event]) -> None:
        for event in events:
            received_events.append(event)
            has_first.set()

    def follow() -> None:
        with Client(f"http://127.0.0.1:{port}", KEY, trust_env=False) as kao:
            collect(kao.follow(run))

    async def follow_async() -> None:
        async with AsyncClient(f"http://127.0.0.1:{port}", KEY, trust_env=False) as kao:
            async for event in kao.follow(run):
                collect(iter([event]))

    def work() -> None:
        asyncio.run(follow_async()) if is_async else follow()

    follower = threading.Thread(target=work)
    with running(settings, port):
        follower.start()
        assert has_first.wait(30)
    # While the server is away.
    runs.record(registry.engine, run, fence, "run.progress", {"images": 1}, progress=True)
    with running(settings, port):
        runs.finish(registry.engine, run, fence, "fail", error="planted")
        follower.join(60)
    assert not follower.is_alive()
    assert [event.number for event in received_events] == list(range(1, len(received_events) + 1))
    assert [event.type for event in received_events][-2:] == ["run.progress", "run.failed"]


def test_an_unreachable_server_is_an_error_after_a_while(kao: Caller) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(httpx.ConnectError):
        kao.follow(f"http://127.0.0.1:{port}", "0" * 16, patience=0.3)


def _is_reachable(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
