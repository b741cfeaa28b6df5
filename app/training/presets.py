"""The presets with what each takes here, and the schema of all that a recipe may say."""

from statistics import median
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from app.auth.scopes import needs
from app.http.query_string import Only
from app.state import Services, services
from models import runs
from models.recipes import recipe as recipes
from models.recipes.recipe import PRESETS, Recipe
from models.runs import Row

router = APIRouter(prefix="/presets", tags=["training"], dependencies=[needs("read")])
Held = Annotated[Services, Depends(services)]

# What a step costs depends on these; a run that has them all trains as fast as the next one.
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
)
LOOKED_AT = 200  # newest runs
COUNTED = 5  # of those, the newest that fit


class Preset(BaseModel):
    """A named recipe, and what this installation knows of its time."""

    name: str = Field(examples=["modern-64"])
    recipe: dict[str, Any] = Field(description="Every hyperparameter of it.")
    gpu: bool = Field(description="Made for an NVIDIA GPU; elsewhere it takes days.")
    seconds: float | None = Field(description="Training time; null: nobody knows yet.")
    images: int | None = Field(description="Images that it will see; null: nobody knows yet.")
    images_per_second: float | None = Field(
        description="Measured here, by earlier runs whose steps cost the same; null: by none."
    )
    measured_by: list[str] = Field(description="Those runs.")


class Presets(BaseModel):
    """All of them, and the JSON Schema of a recipe."""

    presets: list[Preset]
    recipe_schema: dict[str, Any]


@router.get("", dependencies=[Depends(Only())], summary="The presets and what they take here")
def listed(held: Held) -> Presets:
    """Times are those of this installation's own runs, never a guess."""
    rows = runs.list_runs(held.database, LOOKED_AT)
    return Presets(
        presets=[_preset(name, rows) for name in sorted(PRESETS, key=_order)],
        recipe_schema=Recipe.model_json_schema(),
    )


def _order(name: str) -> tuple[bool, bool, str]:
    """What runs anywhere first; the tutorial's own, which takes days, last."""
    return name == "classic", name.endswith("-gpu"), name


def _preset(name: str, rows: list[Row]) -> Preset:
    recipe = recipes.resolve({"preset": name}).model_dump(mode="json")
    same = [row for row in rows if _costs(row["recipe"]) == _costs(recipe) and _speed(row)]
    same = same[:COUNTED]
    speed = median(_speed(row) for row in same) if same else None
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
        measured_by=[row["id"] for row in same],
    )


def _costs(recipe: dict[str, Any]) -> list[Any]:
    return [recipe.get(name) for name in COSTS]


def _speed(row: Row) -> float:
    return float((row["progress"] or {}).get("images_per_second", 0))
