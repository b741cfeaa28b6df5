"""Data → training → bundle → avatar → new training → swap, as a user does it."""

import functools
import io
import threading
import time
import zipfile
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.support.kao_up import Up


def test_a_seed_is_a_face_for_ever_even_after_a_restart(up: Up) -> None:
    one = up.client.get("/avatar?seed=42")
    assert Image.open(io.BytesIO(one.content)).format == "PNG"
    assert up.client.get("/avatar?seed=42").content == one.content
    assert up.client.get("/avatar?seed=43").content != one.content
    randoms = [up.client.get("/avatar") for _ in range(2)]
    seeds = [answer.headers["X-Avatar-Seed"] for answer in randoms]
    assert seeds[0] != seeds[1]
    for answer, seed in zip(randoms, seeds, strict=True):
        assert up.client.get(f"/avatar?seed={seed}").content == answer.content
    assert up.stop() == 0
    up.start()
    assert up.client.get("/avatar?seed=42").content == one.content


def test_a_run_becomes_a_face_and_rolls_back(up: Up, tmp_path: Path) -> None:
    before = up.client.get("/avatar?seed=42")
    old = before.headers["X-Avatar-Model"]

    archive = tmp_path / "mine.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for index in range(12):
            buffer = io.BytesIO()
            Image.new("RGB", (40, 30), (20 * index, 100, 200)).save(buffer, "PNG")
            file.writestr(f"{index}.png", buffer.getvalue())
    assert up.kao.upload("mine", archive).images == 12

    run = up.train(preset="smoke", dataset="mine", images=1600)
    types = [event.type for event in up.events(run)]
    assert types[0] == "run.queued"
    assert {"dataset.ready", "run.progress", "snapshot.written", "sheet.drawn"} <= set(types)
    assert types[-1] == "run.succeeded"

    new = up.run(run)["version"]
    assert new in [model.version for model in up.kao.models()]
    assert up.client.get("/avatar?seed=42").content == before.content, "publishing promotes nothing"
    assert up.kao.promote(new) == new
    up.wait(
        lambda: up.client.get("/avatar?seed=42").headers["X-Avatar-Model"] == new, 5, "it swaps"
    )
    assert up.client.get("/avatar?seed=42").content != before.content
    assert up.client.get(f"/avatar?seed=42&model={old}").content == before.content
    assert up.kao.roll_back() == old
    up.wait(lambda: up.client.get("/avatar?seed=42").content == before.content, 5, "it rolls back")


@pytest.mark.parametrize("seconds", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_the_alias_moves_under_load_and_no_answer_is_wrong(up: Up, seconds: float) -> None:
    run = up.finished(up.train(preset="smoke", images=160))
    versions = [run["version"], up.client.get("/avatar?seed=1").headers["X-Avatar-Model"]]
    seeds = [str(seed) for seed in range(8)]
    expected = {
        (v, s): up.client.get(f"/avatar?seed={s}&model={v}").content
        for v in versions
        for s in seeds
    }
    wrong: list[tuple[int, str, str]] = []
    answers: list[int] = []
    deadline = time.monotonic() + seconds

    def ask(number: int) -> None:
        with httpx.Client(base_url=up.url, timeout=30) as client:
            while time.monotonic() < deadline:
                seed = seeds[(number + len(answers)) % len(seeds)]
                answer = client.get(f"/avatar?seed={seed}")
                answers.append(answer.status_code)
                version = answer.headers.get("X-Avatar-Model", "")
                if answer.content != expected.get((version, seed)):
                    wrong.append((answer.status_code, version, seed))

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for client in clients:
        client.start()
    for move in range(10):
        answer = up.client.post(f"/models/{versions[move % 2]}/promote?force=true", headers=up.key)
        assert answer.status_code == 200, answer.text
        time.sleep(seconds / 12)
    for client in clients:
        client.join()
    assert set(answers) == {200}
    assert not wrong
    assert len(answers) > 100


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_whatever_is_killed_the_run_succeeds_and_faces_are_served(up: Up) -> None:
    stop = threading.Event()
    failures: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=up.url, timeout=30) as client:
            while not stop.is_set():
                answer = client.get("/avatar?seed=42")
                if answer.status_code != 200:
                    failures.append(answer.status_code)
                time.sleep(0.05)

    client = threading.Thread(target=ask)
    client.start()
    run = up.train(preset="smoke", images=24_000)

    def images() -> int:
        return int((up.run(run)["progress"] or {}).get("images", 0))

    for pattern in (r"worker\.training", r"kao worker", r"valkey-server|redis-server"):
        goes_on = functools.partial(lambda goal: images() > goal, images() + 600)
        up.wait(goes_on, 180, f"{pattern}: the run goes on")
        up.kill(pattern)
    row = up.finished(run, 600)
    stop.set()
    client.join()
    assert row["state"] == "succeeded", row
    assert row["attempt"] == 3, "the queue's death alone starts no new attempt"
    assert failures == []
    events = up.events(run)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert "run.resumed" in [event.type for event in events]
