"""Published models as clients see them."""

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
