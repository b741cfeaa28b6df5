"""Datasets as clients see them."""

from dataclasses import asdict

from pydantic import BaseModel, Field

from models.datasets import catalogue
from models.datasets.listing import summarise


class Dataset(BaseModel):
    """A set of pictures. `starter` is drawn by Kao and has no size of its own."""

    name: str = Field(examples=["faces"])
    licence: str = Field(examples=["CC0-1.0"])
    images: int | None
    bytes: int | None
    digest: str | None
    uploaded: str | None


class LeftOut(BaseModel):
    """Files of the zip that training does not use."""

    reason: str = Field(examples=["HEIC is not read"])
    count: int
    examples: list[str] = Field(description="The first of them by name.")


class Label(BaseModel):
    """What a recipe's `labels` may name, and how many pictures have each value."""

    name: str = Field(examples=["hair_colour"])
    values: dict[str, int]


class Column(BaseModel):
    """A column of the set's labels that cannot be trained on, and why."""

    name: str
    reason: str = Field(examples=["numbers"])


class Uploaded(Dataset):
    """An uploaded set, and what is left out of it."""

    left_out: list[LeftOut]


class Details(Uploaded):
    """A set with its labels."""

    labels: list[Label]
    labels_left_out: list[Column]


class Datasets(BaseModel):
    """`starter`, then the uploads by name."""

    datasets: list[Dataset]


class BrokenImage(BaseModel):
    """A picture that training skips, and the reason."""

    name: str
    reason: str


class Contents(BaseModel):
    """Duplicates and broken pictures of an upload."""

    images: int
    duplicates: int = Field(description="Pictures with the same bytes as an earlier one.")
    groups: list[list[str]] = Field(description="The first groups of identical pictures, by name.")
    looked: int = Field(description="Number of pictures that were decoded, the first by name.")
    broken: int = Field(description="Number of those that training skips.")
    broken_first: list[BrokenImage]


STARTER = Dataset(
    name=catalogue.STARTER,
    licence="CC0-1.0 (Lorelei by Lisa Wischofsky, recoloured)",
    images=None,
    bytes=None,
    digest=None,
    uploaded=None,
)


def left_out(files: list[tuple[str, str]]) -> list[LeftOut]:
    """(name, reason) of each file, by reason."""
    return [LeftOut(**asdict(reason)) for reason in summarise(files)]
