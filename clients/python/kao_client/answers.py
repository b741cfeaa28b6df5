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
    name: str | None
    note: str | None
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
    links: Mapping[str, str]


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
    name: str | None
    aliases: list[str]
    published: str
    bytes: int
    run: str | None


@dataclass(frozen=True)
class ModelDetails(Model):
    """A published model with its card. traits: the JSON Schema of each parameter, by name."""

    card: Mapping[str, Any]
    traits: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Dataset:
    """A set of pictures. The server draws `starter`, which has no size of its own."""

    name: str
    licence: str
    images: int | None
    bytes: int | None
    digest: str | None
    uploaded: str | None


@dataclass(frozen=True)
class Upload(Dataset):
    """An uploaded set. left_out: reasons with counts and examples."""

    left_out: list[Mapping[str, Any]]
    near_duplicates: Mapping[str, Any]


@dataclass(frozen=True)
class Key:
    """An API key without its secret."""

    id: str
    name: str
    scopes: list[str]
    created: str
    revoked: str | None


@dataclass(frozen=True)
class NewKey(Key):
    """A key with its secret."""

    key: str


@dataclass(frozen=True)
class SignedUrl:
    """An address that needs no key until `expires` (Unix time)."""

    url: str
    expires: int


def read(kind: type[T], members: Mapping[str, Any]) -> T:
    """A dataclass from a JSON object. Raises KeyError where a member is missing."""
    # typing has no bound that means "a dataclass".
    return kind(**{field.name: members[field.name] for field in fields(kind)})  # type: ignore[arg-type]
