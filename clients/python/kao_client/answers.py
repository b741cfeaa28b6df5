"""What the server answers, as dataclasses. Members that this version does not know are left out."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Picture:
    """The bytes of a file, its media type, and the version of the model that drew it."""

    content: bytes
    media_type: str
    model: str


@dataclass(frozen=True)
class Face(Picture):
    """The face of a seed."""

    seed: str


@dataclass(frozen=True)
class Member(Face):
    """A face of several. address: its relative URL; alt: its alternative text by language."""

    variant: int
    address: str
    alt: Mapping[str, str]
    traits: Mapping[str, str | float]


@dataclass(frozen=True)
class Description:
    """A face in words. colours: the largest area first; licence, credit: of the training set."""

    seed: str
    version: str
    address: str
    traits: Mapping[str, str | float]
    alt: Mapping[str, str]
    colours: list[str]
    blurhash: str
    licence: str
    credit: str


@dataclass(frozen=True)
class Run:
    """A training job. version: the model that it published."""

    id: str
    state: str
    recipe: Mapping[str, Any]
    progress: Mapping[str, Any] | None
    error: str | None
    version: str | None
    created: str
    started: str | None
    finished: str | None
    attempt: int
    cancelling: bool


@dataclass(frozen=True)
class Event:
    """An event of a run, numbered within it."""

    number: int
    type: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Model:
    """A published model. bytes: the size of its files."""

    version: str
    aliases: list[str]
    published: str
    bytes: int
    run: str | None


def read(kind: type[T], members: Mapping[str, Any]) -> T:
    """A dataclass from a JSON object. Raises KeyError where a member is missing."""
    # typing has no bound that means "a dataclass".
    return kind(**{field.name: members[field.name] for field in fields(kind)})  # type: ignore[arg-type]
