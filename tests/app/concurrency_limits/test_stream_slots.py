"""The slots of event streams: no client has all of them, and a stream that ends frees its own."""

from contextlib import ExitStack
from dataclasses import replace

import httpx
import pytest
from fastapi.testclient import TestClient

from app.concurrency_limits.stream_slots import StreamSlots
from app.errors import TooManyRequests
from models import keys, runs
from models.errors import Overloaded
from models.recipes.recipe import resolve
from models.registry import Registry
from tests.app.conftest import Start
from tests.support.live_app import Live
from tests.support.waiting import wait


def test_one_client_has_a_limited_number_of_streams() -> None:
    slots = StreamSlots(total=5, each=2)
    with slots.take("many"), slots.take("many"):
        with pytest.raises(TooManyRequests, match="2 event streams open"), slots.take("many"):
            pass
        with slots.take("other"):
            assert len(slots) == 3
    with slots.take("many"):
        assert len(slots) == 1


def test_where_all_slots_are_in_use_the_client_with_the_most_loses_its_newest() -> None:
    slots = StreamSlots(total=3, each=3)
    with ExitStack() as streams:
        first, second, third = (streams.enter_context(slots.take("many")) for _ in range(3))
        streams.enter_context(slots.take("other"))
        assert [each.is_ended for each in (first, second, third)] == [False, False, True]
        # "many" has two and "other" one: ending one of them would help no client.
        with pytest.raises(Overloaded, match="Too many event streams"), slots.take("other"):
            pass
    assert len(slots) == 0


def _limit(live: Live, slots: StreamSlots) -> None:
    app = live.server.config.app
    app.state.kao = replace(live.server.state, streams=slots)  # type: ignore[union-attr]


def _run_and_keys(registry: Registry) -> tuple[str, dict[str, str], dict[str, str]]:
    """The path of a new run's events, and the headers of two keys."""
    row, _ = runs.create(registry.engine, resolve({"preset": "smoke"}), {"preset": "smoke"})
    greedy, polite = (
        {"Authorization": f"Bearer {keys.create(registry.engine, name, ['read'])[0]}"}
        for name in ("greedy", "polite")
    )
    return f"/train/{row['id']}/events", greedy, polite


def test_streams_beyond_the_limit_are_429_and_others_go_on(
    start: Start, http: httpx.Client, registry: Registry
) -> None:
    url, greedy, polite = _run_and_keys(registry)
    live, slots = start(), StreamSlots(total=4, each=2)
    _limit(live, slots)
    with ExitStack() as streams:
        for _ in range(2):
            opened = streams.enter_context(http.stream("GET", live.url + url, headers=greedy))
            assert opened.status_code == 200
        refusal = http.get(live.url + url, headers=greedy)
        assert refusal.status_code == 429
        assert refusal.headers["content-type"] == "application/problem+json"
        assert int(refusal.headers["Retry-After"]) > 0
        assert "end one of them" in refusal.json()["detail"]
        answer = streams.enter_context(http.stream("GET", live.url + url, headers=polite))
        assert answer.status_code == 200
        assert next(answer.iter_lines()) == "event: run.queued"
    wait(lambda: len(slots) == 0, 30, "the slots of the closed streams are free")
    with http.stream("GET", live.url + url, headers=greedy) as again:
        assert again.status_code == 200


def test_a_stream_that_another_client_needs_ends_and_is_resumed_by_number(
    start: Start, http: httpx.Client, registry: Registry
) -> None:
    url, greedy, polite = _run_and_keys(registry)
    live, slots = start(), StreamSlots(total=2, each=2)
    _limit(live, slots)
    with ExitStack() as streams:
        for _ in range(2):
            newest = streams.enter_context(http.stream("GET", live.url + url, headers=greedy))
        lines = newest.iter_lines()
        assert next(lines) == "event: run.queued"
        other = streams.enter_context(http.stream("GET", live.url + url, headers=polite))
        assert other.status_code == 200
        list(lines)  # ends, or httpx's timeout raises
        # As an EventSource does: with the last number, which still has its place or a refusal.
        answer = http.get(live.url + url, headers={**greedy, "Last-Event-ID": "1"})
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0


def test_a_refused_stream_takes_no_slot(
    client: TestClient, key: dict[str, str], registry: Registry
) -> None:
    state = client.app.state.kao  # type: ignore[attr-defined]
    assert client.get("/train/unknown/events", headers=key).status_code == 404
    row, _ = runs.create(registry.engine, resolve({"preset": "smoke"}), {"preset": "smoke"})
    runs.cancel(registry.engine, row["id"])
    assert client.get(f"/train/{row['id']}/events", headers=key).status_code == 200
    assert len(state.streams) == 0
