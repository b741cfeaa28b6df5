"""Recipes that go on from something: a run resumed with changes, a child of a run or a model."""

from typing import Any

import sqlalchemy as sa

from models import runs
from models.errors import InvalidRecipe, UnknownModel, UnknownRun
from models.recipes import recipe as recipes
from models.recipes.recipe import Recipe
from models.registry import Registry

# What the weights were made for: another value would need other weights.
SHAPE = {"network", "resolution", "latent", "style", "width", "discriminator_width", "labels"}
# And what asks for a part of a network: it may change, but not to or from nothing.
PARTS = {"label_weight"}
# A model brings its generator alone, and one that was told nothing can learn to listen.
BESIDE = {"discriminator_width"}
# What the place within a run counts in: a snapshot's step means nothing under another.
PLACE = {"batch", "held_out", "dataset", "dataset_limit", "seed", "start_from", "preset"}


def resolve(engine: sa.Engine, registry: Registry, asked: dict[str, Any]) -> Recipe:
    """The recipe of a new run: a preset's, or with `start_from` that run's or model's, changed.

    Raises InvalidRecipe, UnknownPreset.
    """
    source = asked.get("start_from")
    if source is None:
        return recipes.resolve(asked)
    return recipes.resolve(asked, _inherited(engine, registry, str(source), asked))


def change(recipe: dict[str, Any], asked: dict[str, Any]) -> Recipe:
    """A run's stored recipe with fields changed, to go on with. Raises InvalidRecipe."""
    _refuse(recipe, asked, SHAPE | PLACE, "cannot change within a run; start another from it")
    _refuse_parts(recipe, asked, PARTS)
    return recipes.resolve(asked, recipe)


def _inherited(
    engine: sa.Engine, registry: Registry, source: str, asked: dict[str, Any]
) -> dict[str, Any]:
    fixed, parts = SHAPE, PARTS
    try:
        base: dict[str, Any] = runs.get(engine, source)["recipe"]
    except UnknownRun:
        try:
            base = registry.get(source)["card"]["recipe"]
        except UnknownModel:
            problem = f"is neither a run nor a model: {source[:80]!r}"
            raise InvalidRecipe([{"field": "start_from", "problem": problem}]) from None
        parts = set()
        fixed = SHAPE - BESIDE - (set() if base.get("labels") else {"labels"})
    _refuse(base, asked, fixed, f"must stay what {source[:12]} was trained with")
    _refuse_parts(base, asked, parts)
    # A child says how long it goes on; its parent's promotion was for the parent.
    return {**base, "promote": "never", "publish_minutes": None}


def _refuse_parts(base: dict[str, Any], asked: dict[str, Any], parts: set[str]) -> None:
    changed = {name for name in parts & asked.keys() if bool(asked[name]) != bool(base.get(name))}
    _refuse(base, asked, changed, "cannot change to or from 0: the discriminator has other weights")


def _refuse(base: dict[str, Any], asked: dict[str, Any], fixed: set[str], problem: str) -> None:
    changed = sorted(name for name in fixed & asked.keys() if asked[name] != base.get(name))
    if changed:
        raise InvalidRecipe([{"field": name, "problem": problem} for name in changed])
