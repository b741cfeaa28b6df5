"""A run trains its enlarger after the generator: resumed, stopped, skipped, published."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from models.bundle import format as bundle, verify
from models.faces import latents
from tests.worker.training.interruptions import execute_next, hand_back, send_signal
from tests.worker.training.types import Attempts, EventsOf
from worker.enlarging.training import EnlargerTrainer, Quality
from worker.training import snapshots
from worker.training.run import Attempt

RECIPE: dict[str, Any] = {"enlarger_steps": 6, "enlarger_width": 8, "enlarger_blocks": 1}


pytestmark = pytest.mark.usefixtures("any_enlarger_is_better")


def _card(attempt: Attempt, version: str) -> dict[str, Any]:
    return bundle.read_card(attempt.registry.folder(version))


def test_a_run_publishes_its_enlarger(attempt: Attempts, large: Path, events_of: EventsOf) -> None:
    run = attempt(large, **RECIPE)
    version = run.execute()
    folder = run.registry.folder(version)
    drawer = verify.verify(folder, version)
    z = latents.derive("42", drawer.card.network.latent)[None]
    assert drawer.enlarge(drawer.draw(z, 1.0), 64).shape == (1, 64, 64, 3)
    (start_event,) = events_of(run, "enlarger.started")
    assert start_event == {"pictures": 61, "scale": 4, "steps": 6}
    (measurement,) = events_of(run, "enlarger.measured")
    card = _card(run, version)["enlarger"]
    assert (card["steps"], card["pictures"], card["scale"]) == (6, 61, 4)
    assert (card["psnr"], card["psnr_without"]) == (
        measurement["psnr"],
        measurement["psnr_without"],
    )
    assert events_of(run, "enlarger.progress")[-1]["step"] == 6
    assert not events_of(run, "enlarger.skipped")


def test_it_takes_no_more_steps_than_the_generator(attempt: Attempts, large: Path) -> None:
    run = attempt(large, **RECIPE | {"enlarger_steps": 1000})
    card = _card(run, run.execute())
    assert card["enlarger"]["steps"] == card["training"]["images"] // run.recipe.batch == 20


def test_a_set_of_twice_the_size_gives_an_enlarger_of_twice(attempt: Attempts, large: Path) -> None:
    for path in list(large.iterdir())[:40]:
        with Image.open(path) as image:
            image.resize((40, 40)).save(path)
    run = attempt(large, **RECIPE)
    assert _card(run, run.execute())["enlarger"]["scale"] == 2


def test_a_set_of_small_pictures_gives_none_and_says_so(
    attempt: Attempts, pictures: Path, events_of: EventsOf
) -> None:
    run = attempt(pictures, **RECIPE)
    version = run.execute()
    (event,) = events_of(run, "enlarger.skipped")
    assert "fewer than 40 pictures have a side of 32 pixels" in event["message"]
    assert _card(run, version)["enlarger"] is None
    assert not (run.registry.folder(version) / bundle.ENLARGER).exists()


def test_one_that_makes_pictures_worse_is_left_out(
    attempt: Attempts, large: Path, events_of: EventsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Quality, "is_better", False)
    run = attempt(large, **RECIPE)
    assert _card(run, run.execute())["enlarger"] is None
    (event,) = events_of(run, "enlarger.skipped")
    assert "after 6 steps held-out pictures have" in event["message"]


def test_without_steps_there_is_no_stage(
    attempt: Attempts, large: Path, events_of: EventsOf
) -> None:
    run = attempt(large)
    assert _card(run, run.execute())["enlarger"] is None
    assert not events_of(run, "enlarger.started") + events_of(run, "enlarger.skipped")


def test_an_interrupted_stage_goes_on_to_the_same_enlarger(
    attempt: Attempts, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = attempt(large, **RECIPE)
    expected = unbroken.registry.folder(unbroken.execute()) / bundle.ENLARGER

    run = attempt(large, **RECIPE)
    name = hand_back(monkeypatch, EnlargerTrainer, run, at=2)
    assert snapshots.read(run.snapshots, name)["enlarger"]["trainer"]["step"] == 3
    assert name == f"{20 + 3:012}.pt"
    version, steps = execute_next(monkeypatch, EnlargerTrainer, run)
    enlarger = run.registry.folder(version) / bundle.ENLARGER
    assert steps == [3, 4, 5]
    assert enlarger.read_bytes() == expected.read_bytes()


def test_ctrl_c_in_the_stage_publishes_what_is_there(
    attempt: Attempts, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = attempt(large, **RECIPE)
    send_signal(monkeypatch, EnlargerTrainer, run, signal.SIGINT, at=2)
    assert _card(run, run.execute())["enlarger"]["steps"] == 3


def test_ctrl_c_before_the_stage_publishes_without(
    attempt: Attempts, large: Path, events_of: EventsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, draw = attempt(large, **RECIPE), Attempt._draw_sheet

    def stop(self: Attempt) -> None:
        run._on_signal(signal.SIGINT, None)
        draw(self)

    monkeypatch.setattr(Attempt, "_draw_sheet", stop)
    assert _card(run, run.execute())["enlarger"] is None
    assert not events_of(run, "enlarger.started")


def test_the_stage_leaves_the_generator_as_it_is(attempt: Attempts, large: Path) -> None:
    with_one, without = attempt(large, **RECIPE), attempt(large)
    faces = []
    for run in (with_one, without):
        version = run.execute()
        drawer = verify.verify(run.registry.folder(version), version)
        z = latents.derive("42", drawer.card.network.latent)[None]
        faces.append(drawer.draw(z, 1.0))
    np.testing.assert_array_equal(faces[0], faces[1])
    assert torch.is_grad_enabled()
