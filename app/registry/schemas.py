"""Published models as clients see them."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field


class Model(BaseModel):
    """A published bundle."""

    version: str
    name: str | None = Field(description="What people call it.")
    aliases: list[str] = Field(examples=[["default", "latest"]])
    published: str
    bytes: int
    run: str | None


class Models(BaseModel):
    """All models, newest first, and the version of each alias."""

    models: list[Model]
    aliases: dict[str, str]


class ModelDetails(Model):
    """A published bundle with its card."""

    card: dict[str, Any]
    traits: dict[str, dict[str, Any]] = Field(
        description="Further parameters of its pictures: the JSON Schema of each value, by name.",
        examples=[{"hair_colour": {"type": "string", "enum": ["pink", "black"]}}],
    )


class Alias(BaseModel):
    """An alias and its version."""

    alias: str = Field(examples=["default"])
    version: str


def model(row: Mapping[str, Any], aliases: Mapping[str, str]) -> Model:
    """A database row, with those of the aliases that name it."""
    fields = {key: row[key] for key in ("version", "name", "published", "bytes", "run")}
    return Model(**fields, aliases=aliases_of(row["version"], aliases))


def aliases_of(version: str, aliases: Mapping[str, str]) -> list[str]:
    """The aliases of a version, sorted."""
    return sorted(alias for alias, target in aliases.items() if target == version)
