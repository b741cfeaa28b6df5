"""Pairs of tables that must agree: losses, presets and their sentences, states, scripts."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from app.avatars.request.picture_types import PICTURE_TYPES
from models import runs
from models.recipes.adversarial_losses import LOSSES, LossName
from models.recipes.presets import PRESETS
from models.recipes.recipe import Recipe
from worker.datasets.starter_attributes import THIRD

ROOT = Path(__file__).parents[2]
WORDS = ROOT / "app" / "studio" / "locales" / "studio.json"
SCRIPTS = sorted((ROOT / "app" / "studio" / "assets").glob("*.js"))
LIST = re.compile(r"\[([^\[\]]*)\]")


def test_every_loss_of_a_recipe_is_written_and_no_other() -> None:
    assert set(get_args(Recipe.model_fields["loss"].annotation)) == set(LOSSES)


@pytest.mark.parametrize("name", list(LOSSES))
def test_a_loss_knows_when_its_discriminator_has_won(name: LossName) -> None:
    loss = LOSSES[name]
    assert not loss.is_won(1.4, 0.7), "at the start"
    assert loss.is_won(0.001, 50.0), "when the generator gets no gradient"


def test_sentences_about_presets_are_about_those_that_exist() -> None:
    """A preset without a sentence of its own gets that of `gpu` or `other`."""
    sentences = {key for key in json.loads(WORDS.read_text()) if key.startswith("studio.preset.")}
    names = {key.removeprefix("studio.preset.") for key in sentences}
    assert {"gpu", "other"} <= names <= {"gpu", "other", *PRESETS}


def test_sentences_about_the_starter_count_its_pictures() -> None:
    words = json.loads(WORDS.read_text())
    for key in ("studio.new.starter", "studio.data.starter"):
        for sentence in words[key].values():
            assert f"{THIRD.pictures:,}" in sentence


def test_states_and_moves_name_the_same() -> None:
    states = {state for sources, target in runs.MOVES.values() for state in (*sources, target)}
    assert states == set(runs.STATES)
    assert set(runs.STATES) >= runs.FINAL


def _lists(script: Path) -> list[set[str]]:
    """The strings of each list literal in a script."""
    return [set(re.findall(r'"([^"]*)"', body)) for body in LIST.findall(script.read_text())]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_repeats_no_list_of_the_apps(script: Path) -> None:
    """Formats come with the page, in a JSON: a new one must not need a second list."""
    formats = {name for kind in PICTURE_TYPES for name in kind.all_formats}
    for strings in _lists(script):
        assert len(strings & formats) < 2, strings


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_knows_only_states_that_exist(script: Path) -> None:
    for strings in _lists(script):
        if strings & set(runs.STATES):
            assert strings <= set(runs.STATES), strings


def test_the_functions_with_which_changes_begin_exist() -> None:
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("## Where to begin")[2]
    rows = [line for line in section.partition("\n## ")[0].splitlines() if " in `" in line]
    assert rows
    for row in rows:
        for names, file in re.findall(r"((?:`\w+`,? ?)+)(?:and the others )?in `([\w/.]+)`", row):
            source = (ROOT / file).read_text()
            for name in re.findall(r"\w+", names):
                assert re.search(rf"\b(?:def|class) {name}\b", source), f"{name} in {file}"
