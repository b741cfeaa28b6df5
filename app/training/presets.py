"""The presets with their training time on this installation, and the schema of recipes."""

from statistics import median
from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from app.auth.scopes import needs
from app.http.query_string import Only
from app.state import State
from models import runs
from models.recipes import recipe as recipes
from models.recipes.presets import PRESETS
from models.recipes.recipe import Recipe
from models.runs import Row

router = APIRouter(tags=["training"], dependencies=[needs("read"), Depends(Only())])

# The cost of a step depends on these; runs that agree in all of them train equally fast.
COSTS = (
    "network",
    "resolution",
    "style",
    "width",
    "discriminator_width",
    "flatten",
    "loss",
    "penalty",
    "penalty_every",
    "batch",
    "accumulation",
)
MAX_RUNS = 200  # newest runs that are searched for measurements
MAX_SAMPLES = 5  # of those, the newest comparable ones


class Preset(BaseModel):
    """A named recipe, and its measured training time on this installation."""

    name: str = Field(examples=["modern-64"])
    recipe: dict[str, Any] = Field(description="All of its hyperparameters.")
    gpu: bool = Field(description="Made for an NVIDIA GPU; without one it takes days.")
    seconds: float | None = Field(description="Training time; null: not known yet.")
    images: int | None = Field(description="Number of training images; null: not known yet.")
    images_per_second: float | None = Field(
        description="Measured by earlier runs with the same cost per step; null: there are none."
    )
    measured_by: list[str] = Field(description="Ids of those runs.")


class Presets(BaseModel):
    """All presets, and the JSON Schema of a recipe."""

    presets: list[Preset]
    recipe_schema: dict[str, Any]


@router.get("/train/presets", summary="List the presets and their training times")
@router.get("/presets", summary="List the presets and their training times")
def list_presets(state: State) -> Presets:
    """Times are measured by runs of this installation, never estimated for its hardware."""
    rows = runs.list_runs(state.database, MAX_RUNS)
    return Presets(
        presets=[_preset(name, rows) for name in sorted(PRESETS, key=_order)],
        recipe_schema=Recipe.model_json_schema(),
    )


def _order(name: str) -> tuple[bool, bool, str]:
    """Sort key: presets for any machine first, the tutorial's, which takes days, last."""
    return name == "classic", name.endswith("-gpu"), name


def _preset(name: str, rows: list[Row]) -> Preset:
    recipe = recipes.resolve({"preset": name}).model_dump(mode="json")
    comparable = [row for row in rows if _costs(row["recipe"]) == _costs(recipe) and _speed(row)]
    samples = comparable[:MAX_SAMPLES]
    speed = median(_speed(row) for row in samples) if samples else None
    seconds = recipe["minutes"] * 60 if recipe["minutes"] else None
    images = recipe["images"]
    if speed is not None:
        seconds = seconds or (images / speed if images else None)
        images = images or (round(seconds * speed) if seconds else None)
    return Preset(
        name=name,
        recipe=recipe,
        gpu=name.endswith("-gpu"),
        seconds=seconds,
        images=images,
        images_per_second=speed,
        measured_by=[row["id"] for row in samples],
    )


def _costs(recipe: dict[str, Any]) -> list[Any]:
    # Recipes of runs before `accumulation` lack it.
    return [recipe.get(name, 1 if name == "accumulation" else None) for name in COSTS]


def _speed(row: Row) -> float:
    return float((row["progress"] or {}).get("images_per_second", 0))
