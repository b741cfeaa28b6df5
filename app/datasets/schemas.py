"""Datasets as clients see them."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, Field

from models.datasets import catalogue
from models.datasets.exclusions import Reason
from models.datasets.labels import LabelTable, rare_values
from models.datasets.near_duplicates import NearDuplicates


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


class Alike(BaseModel):
    """Pictures that look alike, though their bytes may differ: saved again, reduced, retouched."""

    looked: int = Field(description="Number of pictures that were compared, the first by name.")
    count: int = Field(description="Number of those that look like an earlier one.")
    groups: list[list[str]] = Field(description="The first groups by name, 20 names of each.")


class Label(BaseModel):
    """What a recipe's `labels` may name, and how many pictures have each value."""

    name: str = Field(examples=["hair_colour"])
    column: str = Field(description="Its column's own name.", examples=["Hair Colour"])
    values: dict[str, int]
    rare: list[str] = Field(
        default=[], description="Values of fewer than one picture in 64: a batch seldom has one."
    )


class Number(BaseModel):
    """A numeric label, which a recipe's `labels` may name: it becomes a slider."""

    name: str = Field(examples=["age_in_years"])
    column: str = Field(description="Its column's own name.", examples=["Age in years"])
    least: float
    greatest: float


class Exclusion(BaseModel):
    """A picture, or a column of labels, that training does not use, and why."""

    name: str
    reason: str = Field(examples=["one value only"])


class Uploaded(Dataset):
    """An uploaded set, and what is left out of it."""

    left_out: list[LeftOut]
    near_duplicates: Alike


class Details(Uploaded):
    """A set with its labels."""

    labels: list[Label]
    numbers: list[Number]
    labels_left_out: list[Exclusion]


class Datasets(BaseModel):
    """`starter`, then the uploads by name."""

    datasets: list[Dataset]


class Contents(BaseModel):
    """Duplicates and broken pictures of an upload, and the files that are left out of it."""

    images: int
    duplicates: int = Field(description="Pictures with the same bytes as an earlier one.")
    groups: list[list[str]] = Field(
        description="The first groups of identical pictures by name, 20 names of each."
    )
    looked: int = Field(description="Number of pictures that were decoded, the first by name.")
    broken: int = Field(description="Number of those that training skips.")
    broken_first: list[Exclusion]
    left_out: list[LeftOut] = Field(description="Files that are not used, by reason.")


STARTER = Dataset(
    name=catalogue.STARTER,
    licence="CC0-1.0 (Lorelei by Lisa Wischofsky, recoloured)",
    images=None,
    bytes=None,
    digest=None,
    uploaded=None,
)


def with_starter(rows: Iterable[catalogue.Row]) -> list[Dataset]:
    """`starter`, then the uploads."""
    return [STARTER, *(Dataset(**row) for row in rows)]


def report(reasons: Sequence[Reason], alike: NearDuplicates) -> dict[str, Any]:
    """The fields of `Uploaded` that say what is left out or alike."""
    return {
        "left_out": [LeftOut(**asdict(reason)) for reason in reasons],
        "near_duplicates": Alike(**asdict(alike)),
    }


def labels_of(table: LabelTable) -> dict[str, Any]:
    """The fields of `Details` about labels, with the number of pictures of each value."""
    return {
        "labels": [
            Label(name=name, column=table.column(name), values=values, rare=rare_values(values))
            for name, values in table.counts().items()
        ],
        "numbers": [
            Number(name=name, column=table.column(name), least=least, greatest=greatest)
            for name, (least, greatest) in table.ranges().items()
        ],
        "labels_left_out": [Exclusion(**each._asdict()) for each in table.left_out],
    }
