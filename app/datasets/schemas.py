"""Datasets as clients see them."""

from pydantic import BaseModel, Field

from models.datasets import catalogue


class Dataset(BaseModel):
    """A set of pictures. `starter` is drawn by Kao and has no size of its own."""

    name: str = Field(examples=["faces"])
    licence: str = Field(examples=["CC0-1.0"])
    images: int | None
    bytes: int | None
    digest: str | None
    uploaded: str | None


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
