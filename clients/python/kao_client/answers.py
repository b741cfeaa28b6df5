"""The server's answers as dataclasses, without members that this version does not declare."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_type_hints

import httpx

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
class Curve:
    """A measure of a run. points: the number of images seen, then a value for each name."""

    names: list[str]
    points: list[list[float]]


@dataclass(frozen=True)
class Preset:
    """A named recipe. gpu: made for a GPU; the rest: as runs on this server measured it."""

    name: str
    recipe: Mapping[str, Any]
    gpu: bool
    seconds: float | None
    images: int | None
    images_per_second: float | None
    measured_by: list[str]


@dataclass(frozen=True)
class Presets:
    """The presets, and the JSON Schema of a recipe."""

    presets: list[Preset]
    recipe_schema: Mapping[str, Any]


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
class LeftOut:
    """Files that training does not use. examples: the first by name."""

    reason: str
    count: int
    examples: list[str]


@dataclass(frozen=True)
class Alike:
    """Pictures that look alike. looked: pictures that were compared; count: those like another."""

    looked: int
    count: int
    groups: list[list[str]]


@dataclass(frozen=True)
class Upload(Dataset):
    """An uploaded set, and what is left out of it."""

    left_out: list[LeftOut]
    near_duplicates: Alike


@dataclass(frozen=True)
class Label:
    """A label. column: its column's own name; values: the number of pictures of each.

    rare: values that a batch seldom has.
    """

    name: str
    column: str
    values: Mapping[str, int]
    rare: list[str]


@dataclass(frozen=True)
class Number:
    """A numeric label, which becomes a slider. column: its column's own name."""

    name: str
    column: str
    least: float
    greatest: float


@dataclass(frozen=True)
class Exclusion:
    """A picture, or a column of labels, that training does not use, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class DatasetDetails(Upload):
    """A set with its labels."""

    labels: list[Label]
    numbers: list[Number]
    labels_left_out: list[Exclusion]


@dataclass(frozen=True)
class Contents:
    """The pictures of a set. looked: decoded ones; groups, broken_first: the first by name."""

    images: int
    duplicates: int
    groups: list[list[str]]
    looked: int
    broken: int
    broken_first: list[Exclusion]
    left_out: list[LeftOut] = field(default_factory=list)


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


@dataclass(frozen=True)
class Webhook:
    """An address that receives events, without its secret."""

    id: str
    url: str
    types: list[str]
    created: str


@dataclass(frozen=True)
class NewWebhook(Webhook):
    """A webhook with the secret that signs its deliveries."""

    secret: str


@dataclass(frozen=True)
class Delivery:
    """An event for a webhook. due: Unix time of the next attempt; status: of the last answer."""

    number: int
    type: str
    body: Mapping[str, Any]
    created: str
    state: str
    due: float
    attempts: int
    status: int | None
    error: str | None


@dataclass(frozen=True)
class Readiness:
    """The server's state. version: what it serves; problems: sentences, codes: for programs.

    oldest_waiting_run: the seconds that the first waiting run has waited.
    """

    status: str
    version: str | None
    refused: Mapping[str, str]
    problems: list[str]
    codes: list[str]
    oldest_waiting_run: int | None


def read(kind: type[T], members: Mapping[str, Any]) -> T:
    """A dataclass from a JSON object. Raises KeyError where a member is missing."""
    types = get_type_hints(kind)
    # typing has no bound that means "a dataclass".
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: _value(types[name], members[name]) for name in names})


def _value(kind: Any, value: Any) -> Any:
    """A member: dataclasses within it and within its list are read too."""
    (inner,) = get_args(kind) if isinstance(value, list) else (kind,)
    if not is_dataclass(inner):
        return value
    if isinstance(value, list):
        return [_value(inner, item) for item in value]
    return read(inner, value)  # type: ignore[arg-type]  # narrowed to an instance or a class


def one(kind: type[T]) -> Callable[[httpx.Response], T]:
    """A function that reads an answer as a dataclass."""
    return lambda answer: read(kind, answer.json())


def many(name: str, kind: type[T]) -> Callable[[httpx.Response], list[T]]:
    """A function that reads the list `name` of an answer as dataclasses."""
    return lambda answer: [read(kind, row) for row in answer.json()[name]]


def content(answer: httpx.Response) -> bytes:
    """The body of an answer as it is."""
    return answer.content


def no_content(_: httpx.Response) -> None:
    """The result of an answer without a body."""
