"""Aliases move, bundles are damaged and queues fill while faces are served."""

import asyncio
import errno
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Never

import httpx
import numpy as np
import pytest
from starlette.testclient import TestClient

from app.avatars.generate import engine as engines
from app.avatars.generate.engine import Engine
from app.avatars.request.picture_request import PictureRequest
from app.avatars.request.picture_types import AVATAR
from models.bundle.generator import Drawer
from models.errors import BadBundle, Overloaded
from models.registry import Registry
from models.settings import Settings
from tests.support.app_client import state_of
from tests.support.live_app import Live


def _eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_ten_moves_under_load_mix_nothing(
    start: Callable[..., Live],
    http: httpx.Client,
    registry: Registry,
    versions: list[str],
    key: dict[str, str],
) -> None:
    live = start()
    truth = {
        (version, seed): http.get(f"{live.url}/avatar?seed={seed}&model={version}").content
        for version in versions
        for seed in range(4)
    }
    assert len(set(truth.values())) == len(truth)
    stop, wrong, models = threading.Event(), [], set()

    def request_often(number: int) -> int:
        count = 0
        with httpx.Client(timeout=20, trust_env=False) as client:
            while not stop.is_set():
                answer = client.get(f"{live.url}/avatar?seed={number % 4}")
                model = answer.headers.get("x-avatar-model")
                models.add(model)
                if truth.get((model, number % 4)) != answer.content:
                    wrong.append((answer.status_code, model))
                count += 1
        return count

    with ThreadPoolExecutor(6) as pool:
        clients = [pool.submit(request_often, number) for number in range(6)]
        for move in range(10):
            version = versions[(move + 1) % 3]
            answer = http.post(f"{live.url}/models/{version}/promote", headers=key)
            assert answer.json() == {"alias": "default", "version": version}
            assert http.get(f"{live.url}/avatar?seed=1").headers["x-avatar-model"] == version
            time.sleep(0.1)
        stop.set()
        assert sum(client.result() for client in clients) > 10
    assert wrong == []
    assert models == set(versions)


def test_an_alias_moved_elsewhere_is_followed_within_seconds(
    client: TestClient, registry: Registry, versions: list[str]
) -> None:
    assert client.get("/avatar?seed=1").headers["x-avatar-model"] == versions[0]
    registry.promote(versions[1])
    _eventually(lambda: client.get("/avatar?seed=1").headers["x-avatar-model"] == versions[1])


@pytest.mark.timeout(60)
def test_a_load_that_hangs_stops_no_look_at_names(
    client: TestClient, registry: Registry, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    has_begun, is_over, load = threading.Event(), threading.Event(), Registry.load

    def hang(self: Registry, version: str, threads: int = 1) -> Drawer:
        has_begun.set()
        assert is_over.wait(50)
        return load(self, version, threads)

    monkeypatch.setattr(Registry, "load", hang)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(client.get, f"/avatar?seed=1&model={versions[2]}")
        assert has_begun.wait(20)
        try:
            assert client.get("/avatar?seed=1&model=nobody").status_code == 404
            assert client.get("/avatar?seed=1").status_code == 200
            assert not slow.done()
        finally:
            is_over.set()
        assert slow.result().status_code == 200


def test_a_bad_bundle_is_refused_and_the_old_serves(
    client: TestClient,
    registry: Registry,
    versions: list[str],
    damage_bundle: Callable[[Registry], str],
) -> None:
    before = client.get("/avatar?seed=1").content
    bad = damage_bundle(registry)
    engine = state_of(client).engine
    _eventually(lambda: bad in engine.refused)
    answer = client.get("/avatar?seed=1")
    assert answer.content == before
    assert answer.headers["x-avatar-model"] == versions[0]
    assert "damaged" in client.get("/health/ready").json()["refused"][bad]
    response = client.get(f"/avatar?seed=1&model={bad}")
    assert response.status_code == 409
    assert response.json()["type"] == "urn:kao:problem:bad-bundle"


def test_a_database_that_fails_does_not_stop_faces(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = state_of(client)
    calls = []

    def fail() -> Never:
        calls.append(1)
        raise OSError("gone")

    monkeypatch.setattr(state.registry, "aliases", fail)
    _eventually(lambda: len(calls) >= 2)
    assert client.get("/avatar?seed=1").status_code == 200


def test_a_model_is_loaded_once_for_any_number_of_requests(
    registry: Registry, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    load = registry.load

    def count(version: str, threads: int) -> Drawer:
        calls.append(version)
        return load(version, threads)

    monkeypatch.setattr(registry, "load", count)

    async def load_often() -> list[Drawer]:
        engine = Engine(registry, 1, 4, 2**30)
        drawers = await asyncio.gather(*(engine.drawer(versions[1]) for _ in range(20)))
        await engine.stop()
        return drawers

    assert len(set(map(id, asyncio.run(load_often())))) == 1
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("budget", "indices"),
    [
        pytest.param(0, {0, 3}, id="no-room-keeps-the-newest"),
        pytest.param(2.5, {0, 2, 3}, id="room-for-two"),
        pytest.param(9, {0, 1, 2, 3}, id="room-for-all"),
    ],
)
def test_idle_models_stay_within_the_budget_and_served_ones_always(
    registry: Registry,
    versions: list[str],
    write_bundle: Callable[..., Path],
    budget: float,
    indices: set[int],
) -> None:
    fourth = registry.import_folder(write_bundle(seed=3))
    all_four = [*versions, fourth]
    size = sum(path.stat().st_size for path in registry.folder(versions[2]).iterdir())

    async def visit() -> set[str]:
        engine = Engine(registry, 1, 4, int(budget * size * engines.LOADED_SIZE))
        await engine.refresh()
        for version in all_four[1:]:
            await engine.drawer(version)
        versions = set(engine.loaded_versions)
        await engine.stop()
        return versions

    assert asyncio.run(visit()) == {all_four[number] for number in indices}


def test_few_models_keep_the_parts_that_few_requests_need(
    registry: Registry, versions: list[str]
) -> None:
    """Each took 60 MB for ever: 28 versions killed an app of 1 GiB."""

    async def draw_aged() -> list[bool]:
        engine = Engine(registry, 1, 4, 2**30)
        request = PictureRequest.parse(AVATAR, {"seed": "1", "age": "0.5", "psi": "1"})
        drawers = [await engine.drawer(version) for version in versions]
        for drawer in drawers:
            await engine.draw(drawer, request, np.copy)
        await engine.stop()
        return [drawer.has_optional_parts for drawer in drawers]

    assert asyncio.run(draw_aged()) == [False, True, True]


def test_a_full_queue_refuses_and_a_cancelled_request_keeps_its_place(registry: Registry) -> None:
    async def fill() -> None:
        engine = Engine(registry, 1, 2, 0)
        gate = threading.Event()
        waiting = [asyncio.ensure_future(engine.run(gate.wait)) for _ in range(3)]
        await asyncio.sleep(0.05)
        waiting[0].cancel()
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await engine.run(gate.wait)
        gate.set()
        await asyncio.gather(*waiting[1:])
        assert await engine.run(lambda: 7) == 7
        await engine.stop()

    asyncio.run(fill())


def test_overload_is_503_with_retry_after(client: TestClient, settings: Settings) -> None:
    engine, gate, portal = state_of(client).engine, threading.Event(), client.portal
    assert portal is not None
    count = (settings.threads or 1) + settings.max_queue
    tasks = [portal.start_task_soon(engine.run, gate.wait) for _ in range(count)]
    try:
        _eventually(lambda: engine.pending == count)
        # This machine is the client of the blocked work too, so no other one makes room.
        local = TestClient(client.app, client=("127.0.0.1", 5000))
        response = local.get("/avatar?seed=1")
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert response.headers["cache-control"] == "no-store"
    finally:
        gate.set()
    assert all(future.result() for future in tasks)


def test_a_refused_bundle_is_read_again_after_a_while(
    registry: Registry, versions: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    weights = registry.folder(versions[1]) / "generator.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1])

    async def ask() -> None:
        engine = Engine(registry, 1, 4, 2**30)
        with pytest.raises(BadBundle):
            await engine.drawer(versions[1])
        weights.write_bytes(good)
        with pytest.raises(BadBundle):
            await engine.drawer(versions[1])
        monkeypatch.setattr(engines, "RETRY", 0)
        await engine.drawer(versions[1])
        assert engine.refused == {}
        await engine.stop()

    asyncio.run(ask())


def test_a_file_that_was_removed_is_replaced_where_another_copy_exists(
    client: TestClient, versions: list[str], tmp_path: Path
) -> None:
    """As by the disk cache of a bucket: the model in memory does not touch its files."""
    registry = state_of(client).registry
    address = f"/avatar?psi=1&age=0.5&model={versions[1]}&seed="
    drawn_before = client.get(f"{address}1")
    assert drawn_before.status_code == 200
    state_of(client).engine._drawers[versions[1]].unload_optional_parts()
    state_of(client).pictures.clear()
    folder, copy = registry.folder(versions[1]), tmp_path / "bucket"
    shutil.copytree(folder, copy)
    shutil.rmtree(folder)
    refusal = client.get(f"{address}1")
    assert refusal.status_code == 409
    assert client.get(f"/avatar?model={versions[1]}&seed=2").status_code == 200
    state_of(client).engine.refused.clear()
    with pytest.MonkeyPatch.context() as patch:
        fetch = registry.fetch
        patch.setattr(registry, "fetch", lambda version: shutil.copytree(copy, fetch(version)))
        answer = client.get(f"{address}1")
    assert (answer.status_code, answer.content) == (200, drawn_before.content)


def test_a_model_whose_folder_vanishes_while_it_is_loaded_stops_nothing(
    registry: Registry, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = registry.load

    def load_and_remove(version: str, threads: int) -> Drawer:
        drawer = load(version, threads)
        if version == versions[1]:
            shutil.rmtree(registry.folder(version))
        return drawer

    monkeypatch.setattr(registry, "load", load_and_remove)

    async def ask() -> set[str]:
        engine = Engine(registry, 1, 4, 0)
        for version in (versions[1], versions[0], versions[2]):
            await engine.drawer(version)
        await engine.refresh()
        loaded_versions = set(engine.loaded_versions)
        await engine.stop()
        return loaded_versions

    assert asyncio.run(ask()) == {versions[0]}


def test_a_full_disk_leaves_the_other_aliases_to_follow(
    registry: Registry, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.promote(versions[1], force=True)
    load = registry.load

    def fail(version: str, threads: int) -> Drawer:
        if version == versions[1]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return load(version, threads)

    monkeypatch.setattr(registry, "load", fail)

    async def follow() -> dict[str, str]:
        engine = Engine(registry, 1, 4, 2**30)
        await engine.refresh()
        served = dict(engine.served)
        await engine.stop()
        return served

    assert asyncio.run(follow())["default"] == versions[0], "the model before it"
