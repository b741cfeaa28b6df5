"""Recipes derived from others: a run resumed with changes, a child of a run or a model."""

from typing import Any

import sqlalchemy as sa

from models import runs
from models.errors import InvalidRecipe, UnknownModel, UnknownRun
from models.recipes import recipe as recipes
from models.recipes.recipe import Recipe
from models.registry import Registry

# What the weights were made for: another value would need other weights.
WEIGHT_FIELDS = {
    "network", "resolution", "latent", "style", "width", "discriminator_width", "labels",
    "hidden_labels", "residuals",
}  # fmt: skip
# Fields that add a part to a network: they may change, but not to or from 0.
OPTIONAL_PART_FIELDS = {"label_weight"}
# A published model has no discriminator, so its width may change.
DISCRIMINATOR_FIELDS = {"discriminator_width"}
LABEL_FIELDS = {"labels", "hidden_labels"}
# Fields that decide which images a step has: with others a snapshot's step means another batch.
DATA_ORDER_FIELDS = {
    "batch", "held_out", "dataset", "dataset_limit", "seed", "start_from", "preset",
}  # fmt: skip


def resolve(engine: sa.Engine, registry: Registry, overrides: dict[str, Any]) -> Recipe:
    """The recipe of a new run: a preset's, or with `start_from` that run's or model's, changed.

    With `start_from` a preset changes nothing, not even the name of the base's preset. Raises
    InvalidRecipe, UnknownPreset.
    """
    source = overrides.get("start_from")
    if source is None:
        return recipes.resolve(overrides)
    if "preset" in overrides:
        recipes.find_preset(overrides["preset"])
    try:
        str(source).encode()
    except UnicodeEncodeError:  # half a character, which no database compares
        raise InvalidRecipe([{"field": "start_from", "problem": "is no text"}]) from None
    fields = {name: value for name, value in overrides.items() if name != "preset"}
    return recipes.resolve(fields, _base_recipe(engine, registry, str(source), overrides))


def change(recipe: dict[str, Any], overrides: dict[str, Any]) -> Recipe:
    """A run's stored recipe with fields changed, to go on with. Raises InvalidRecipe."""
    _refuse(
        recipe,
        overrides,
        WEIGHT_FIELDS | DATA_ORDER_FIELDS,
        "cannot change within a run; start another from it",
    )
    _refuse_parts(recipe, overrides, OPTIONAL_PART_FIELDS)
    return recipes.resolve(overrides, recipe)


def _base_recipe(
    engine: sa.Engine, registry: Registry, source: str, overrides: dict[str, Any]
) -> dict[str, Any]:
    constant_fields, parts = WEIGHT_FIELDS, OPTIONAL_PART_FIELDS
    try:
        base: dict[str, Any] = runs.get(engine, source)["recipe"]
        if _adds_hidden_labels(base, overrides):
            constant_fields = WEIGHT_FIELDS - {"hidden_labels"}
    except UnknownRun:
        try:
            base = registry.get(source)["card"]["recipe"]
        except UnknownModel:
            problem = f"is neither a run nor a model: {source[:80]!r}"
            raise InvalidRecipe([{"field": "start_from", "problem": problem}]) from None
        parts = set()
        is_conditional = base.get("labels") or base.get("hidden_labels")
        constant_fields = (
            WEIGHT_FIELDS - DISCRIMINATOR_FIELDS - (set() if is_conditional else LABEL_FIELDS)
        )
        if overrides.get("residuals", 0) >= base.get(
            "residuals", 0
        ):  # new ones begin without effect
            constant_fields -= {"residuals"}
    _refuse(base, overrides, constant_fields, f"must stay what {source[:12]} was trained with")
    _refuse_parts(base, overrides, parts)
    # Promotion and publishing at intervals are the parent's, and not inherited.
    return {**base, "promote": "never", "publish_minutes": None}


def _adds_hidden_labels(base: dict[str, Any], overrides: dict[str, Any]) -> bool:
    """Whether new ones follow the base's, so that its weights can be made to fit."""
    old, new = base.get("hidden_labels", []), overrides.get("hidden_labels")
    return isinstance(new, list) and new[: len(old)] == old


def _refuse_parts(base: dict[str, Any], overrides: dict[str, Any], parts: set[str]) -> None:
    conflicts = {
        name for name in parts & overrides.keys() if bool(overrides[name]) != bool(base.get(name))
    }
    _refuse(
        base,
        overrides,
        conflicts,
        "cannot change to or from 0: the discriminator has other weights",
    )


def _refuse(
    base: dict[str, Any], overrides: dict[str, Any], constant_fields: set[str], problem: str
) -> None:
    conflicts = sorted(
        name
        for name in constant_fields & overrides.keys()
        if (overrides[name] or None) != (base.get(name) or None)
    )
    if conflicts:
        raise InvalidRecipe([{"field": name, "problem": problem} for name in conflicts])
