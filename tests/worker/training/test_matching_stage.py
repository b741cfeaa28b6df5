"""The stage after the adversarial training in which the generator learns its labels' pictures."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from models.bundle import format as bundle
from tests.worker.training.interruptions import execute_next, hand_back, send_signal
from tests.worker.training.types import Attempts, EventsOf
from worker.student import StudentTraining
from worker.training import later_stages, snapshots
from worker.training.run import Attempt

MATCHED: dict[str, Any] = {"labels": ["half"], "match_weight": 1.0, "matching_steps": 5}


@pytest.fixture
def labelled(pictures: Path) -> Path:
    """The set with a label of two values."""
    rows = [f"{number:03}.png,{'first' if number < 32 else 'second'}" for number in range(64)]
    (pictures / "metadata.csv").write_text("\n".join(["file_name,half", *rows]))
    return pictures


def _card(attempt: Attempt, version: str) -> dict[str, Any]:
    return bundle.read_card(attempt.registry.folder(version))


def _weights(attempt: Attempt, version: str) -> dict[str, torch.Tensor]:
    return load_file(attempt.registry.folder(version) / bundle.WEIGHTS)


def test_a_run_publishes_what_the_generator_learnt_of_the_sets_pictures(
    attempt: Attempts, labelled: Path, events_of: EventsOf
) -> None:
    run, plain = attempt(labelled, **MATCHED), attempt(labelled, **MATCHED | {"matching_steps": 0})
    version = run.execute()
    card = _card(run, version)["matched"]
    assert (card["steps"], events_of(run, "matching.started")) == (5, [{"steps": 5}])
    assert card["difference"] < card["difference_before"]
    (measurement,) = events_of(run, "matching.measured")
    assert measurement == card
    assert events_of(run, "matching.progress")[-1]["step"] == 5
    plain_version = plain.execute()
    assert _card(plain, plain_version)["matched"] is None
    before, after = _weights(plain, plain_version), _weights(run, version)
    assert {
        name.split(".")[0] for name in before if not torch.equal(before[name], after[name])
    } == {
        "mapping",
        "synthesis",
    }


def test_the_distillation_after_it_has_its_own_figures_on_the_card(
    attempt: Attempts, large: Path, labelled: Path, any_enlarger_is_better: None
) -> None:
    enlarged = {"enlarger_steps": 6, "enlarger_width": 8, "enlarger_blocks": 1}
    run = attempt(labelled, **MATCHED, **enlarged, distillation_steps=3)
    card = _card(run, run.execute())
    assert (card["matched"]["steps"], card["distilled"]["steps"]) == (5, 3)


def test_a_generator_that_becomes_worse_stays_as_it_was(
    attempt: Attempts, labelled: Path, events_of: EventsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(later_stages, "is_lower", lambda before, after: True)
    run = attempt(labelled, **MATCHED, measure_every=64, measure_samples=20)
    assert _card(run, run.execute())["matched"] is None
    (event,) = events_of(run, "matching.skipped")
    assert "before it learnt the pictures of its labels" in event["message"]


def test_an_interrupted_matching_goes_on_to_the_same_weights(
    attempt: Attempts, labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = attempt(labelled, **MATCHED)
    expected = _weights(unbroken, unbroken.execute())

    run = attempt(labelled, **MATCHED)
    name = hand_back(monkeypatch, StudentTraining, run, at=2)
    assert snapshots.read(run.snapshots, name)["teaching"]["matching"]["step"] == 3
    version, steps = execute_next(monkeypatch, StudentTraining, run)
    assert steps == [3, 4]
    weights = _weights(run, version)
    assert weights.keys() == expected.keys()
    for name, tensor in weights.items():
        assert torch.equal(tensor, expected[name]), name


def test_ctrl_c_in_the_matching_publishes_what_is_learnt(
    attempt: Attempts, labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = attempt(labelled, **MATCHED)
    send_signal(monkeypatch, StudentTraining, run, signal.SIGINT, at=2)
    assert _card(run, run.execute())["matched"]["steps"] == 3
