"""The last stage of a run: the generator learns to draw its enlarger's pictures, reduced."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.bundle import format as bundle, verify
from models.faces import latents
from tests.worker.training.interruptions import execute_next, hand_back, next_attempt, send_signal
from tests.worker.training.types import Attempts, EventsOf
from worker.enlarging.distillation import EnlargedPictures
from worker.student import StudentTraining
from worker.training import later_stages, snapshots
from worker.training.publication import Publication
from worker.training.run import Attempt

ENLARGED: dict[str, Any] = {"enlarger_steps": 6, "enlarger_width": 8, "enlarger_blocks": 1}
DISTILLED: dict[str, Any] = ENLARGED | {"distillation_steps": 5}

pytestmark = pytest.mark.usefixtures("any_enlarger_is_better")


def _card(attempt: Attempt, version: str) -> dict[str, Any]:
    return bundle.read_card(attempt.registry.folder(version))


def _faces(attempt: Attempt, version: str) -> Any:
    drawer = verify.verify(attempt.registry.folder(version), version)
    return drawer.draw(latents.derive_all(map(str, range(8)), drawer.card.network.latent), 1.0)


def test_a_run_publishes_what_the_generator_learnt_of_its_enlarger(
    attempt: Attempts, large: Path, events_of: EventsOf
) -> None:
    run, plain = attempt(large, **DISTILLED), attempt(large, **ENLARGED)
    version = run.execute()
    card = _card(run, version)["distilled"]
    assert (card["steps"], events_of(run, "distillation.started")) == (5, [{"steps": 5}])
    assert card["difference"] < card["difference_before"]
    (measurement,) = events_of(run, "distillation.measured")
    assert measurement == card
    assert events_of(run, "distillation.progress")[-1]["step"] == 5
    faces, teacher_faces = _faces(run, version), _faces(plain, plain_version := plain.execute())
    difference = np.abs(faces.astype(int) - teacher_faces).mean()
    assert 0 < difference < 20, "the same faces, drawn a little otherwise"
    assert _card(plain, plain_version)["distilled"] is None


def test_micro_batches_of_the_training_are_those_of_the_stage(
    attempt: Attempts, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole batch would not fit into the memory that the training was estimated for."""
    parts: list[int] = []
    for training_part in (StudentTraining, EnlargedPictures):
        create = training_part.__init__

        def record(self: object, *arguments: Any, create: Any = create) -> None:
            parts.append(arguments[-1])
            create(self, *arguments)

        monkeypatch.setattr(training_part, "__init__", record)
    attempt(large, **DISTILLED, accumulation=2).execute()
    assert parts == [2, 2]


def test_the_measures_on_the_card_are_those_of_the_distilled_generator(
    attempt: Attempts, large: Path, events_of: EventsOf
) -> None:
    run = attempt(large, **DISTILLED, measure_every=64, measure_samples=20)
    card = _card(run, run.execute())
    events = events_of(run, "run.measured")
    assert round(card["measures"]["fd"], 5) == events[-1]["fd"] != events[-2]["fd"]
    assert card["measures"]["images"] == card["training"]["images"]
    assert len(card["curve"]) == len(events) - 1, "the curve is of the adversarial training"


def test_a_generator_that_becomes_worse_stays_as_it_was(
    attempt: Attempts, large: Path, events_of: EventsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(later_stages, "is_lower", lambda before, after: True)
    measurement = {"measure_every": 64, "measure_samples": 20}
    run, plain = (
        attempt(large, **DISTILLED, **measurement),
        attempt(large, **ENLARGED, **measurement),
    )
    version, plain_version = run.execute(), plain.execute()
    card = _card(run, version)
    assert card["distilled"] is None
    assert card["measures"] == _card(plain, plain_version)["measures"]
    assert events_of(run, "run.measured") == events_of(plain, "run.measured")
    np.testing.assert_array_equal(_faces(run, version), _faces(plain, plain_version))
    (event,) = events_of(run, "distillation.skipped")
    assert f"FD was {card['measures']['fd']:.1f} before" in event["message"]


def test_an_interrupted_distillation_goes_on_to_the_same_weights(
    attempt: Attempts, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = attempt(large, **DISTILLED)
    expected = unbroken.registry.folder(unbroken.execute()) / bundle.WEIGHTS

    run = attempt(large, **DISTILLED)
    name = hand_back(monkeypatch, StudentTraining, run, at=2)
    assert snapshots.read(run.snapshots, name)["teaching"]["distillation"]["step"] == 3
    version, steps = execute_next(monkeypatch, StudentTraining, run)
    weights = run.registry.folder(version) / bundle.WEIGHTS
    assert steps == [3, 4]
    assert load_file(weights).keys() == load_file(expected).keys()
    for tensor, other in zip(
        load_file(weights).values(), load_file(expected).values(), strict=True
    ):
        assert torch.equal(tensor, other)


def test_a_run_that_is_published_again_makes_no_progress_by_it(
    attempt: Attempts, large: Path, monkeypatch: pytest.MonkeyPatch, events_of: EventsOf
) -> None:
    """Else an attempt that ends while it publishes would never count as one without progress."""

    def fail(*_: object) -> str:
        raise RuntimeError("planted")

    run = attempt(large, **DISTILLED, measure_every=64, measure_samples=20)
    names: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(Publication, "publish", fail)
        write = snapshots.write

        def record_and_write(folder: Path, step: int, state: dict[str, Any]) -> str:
            names.append(write(folder, step, state))
            return names[-1]

        patch.setattr(snapshots, "write", record_and_write)
        with pytest.raises(RuntimeError, match="planted"):
            run.execute()
        last, count, run = names[-1], len(names), next_attempt(run)
        with pytest.raises(RuntimeError, match="planted"):
            run.execute()
        assert {*names[count:]} == {last}
    images = [event["images"] for event in events_of(run, "run.measured")]
    version, steps = execute_next(monkeypatch, StudentTraining, run)
    assert steps == []
    curve = [point[0] for point in _card(run, version)["curve"]]
    assert curve == sorted(set(curve)) == sorted(set(images))


def test_ctrl_c_in_the_distillation_publishes_what_is_learnt(
    attempt: Attempts, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = attempt(large, **DISTILLED)
    send_signal(monkeypatch, StudentTraining, run, signal.SIGINT, at=2)
    assert _card(run, run.execute())["distilled"]["steps"] == 3


def test_without_an_enlarger_there_is_nothing_to_learn(
    attempt: Attempts, pictures: Path, events_of: EventsOf
) -> None:
    run = attempt(pictures, **DISTILLED)
    assert _card(run, run.execute())["distilled"] is None
    assert not events_of(run, "distillation.started")
