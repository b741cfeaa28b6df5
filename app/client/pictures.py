"""The calls of Kao's HTTP interface that answer with pictures, with typed options.

    kao.send(pictures.avatar("ada", size=256, traits={"hair_colour": "pink"}))
    kao.send(pictures.morph("ada", "grace", frames=48, format="webp"))

The server chooses the default of an option; docs/api.md has the allowed values.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack
from urllib.parse import unquote

import httpx

from app.avatars.request.value_types import Seeds, WeightedSeeds, format_value
from app.client.requests import Call

Shape = Literal["square", "circle", "rounded"]


class Common(TypedDict, total=False):
    """Options of every picture. traits: values by name, as `requests.model(…)` lists them."""

    model: str
    psi: float
    format: str
    traits: Mapping[str, str | float]


class Look(Common, total=False):
    """Options of all but the link card. size: pixels; backdrop: hex digits or `transparent`."""

    size: int
    dpr: float
    shape: Shape
    backdrop: str


class Face(Look, total=False):
    """Options of the face of one seed."""

    variant: int
    best_of: int
    age: float


class Loop(Look, total=False):
    """Options of animations. fps: frames per second."""

    frames: int
    fps: float
    ease: Literal["linear", "sine", "cubic"]


class Rows(Look, total=False):
    """Options of faces in rows. gap: pixels."""

    columns: int
    gap: int


class Card(Common, total=False):
    """Options of the link card."""

    shape: Shape
    variant: int
    best_of: int
    age: float


@dataclass(frozen=True)
class Picture:
    """The bytes of a file, and the version of the model that drew it."""

    content: bytes
    media_type: str
    model: str


@dataclass(frozen=True)
class Avatar(Picture):
    """The face of a seed."""

    seed: str


@dataclass(frozen=True)
class Member(Avatar):
    """A face of several. address: the relative URL of this face alone."""

    variant: int
    address: str


def avatar(seed: str | None = None, **options: Unpack[Face]) -> Call[Avatar]:
    """The face of a seed; without one, of a random seed."""
    return Call("GET", "/avatar", _avatar, _query(options, seed=seed))


def morph(start: str, end: str, t: float | None = None, **options: Unpack[Loop]) -> Call[Picture]:
    """Interpolate between two faces: at `t`, or back and forth as a loop."""
    return Call("GET", "/morph", _picture, _query(options, **{"from": start, "to": end, "t": t}))


def walk(seed: str, stops: int | None = None, **options: Unpack[Loop]) -> Call[Picture]:
    """A loop through several faces of one seed."""
    return Call("GET", "/walk", _picture, _query(options, seed=seed, stops=stops))


def grow(seed: str, **options: Unpack[Loop]) -> Call[Picture]:
    """A loop through the training of the model: one face at its checkpoints and back."""
    return Call("GET", "/grow", _picture, _query(options, seed=seed))


def mix(coarse: str, fine: str, at: int | None = None, **options: Unpack[Look]) -> Call[Picture]:
    """The coarse features of one face with the fine ones of another."""
    return Call("GET", "/mix", _picture, _query(options, coarse=coarse, fine=fine, at=at))


def blend(weights: Mapping[str, float], **options: Unpack[Look]) -> Call[Picture]:
    """The weighted mean of several faces."""
    seeds = WeightedSeeds(Seeds(weights), tuple(weights.values()))
    return Call("GET", "/blend", _picture, _query(options, seeds=seeds))


def family(
    parents: tuple[str, str],
    children: int | None = None,
    child: int | None = None,
    **options: Unpack[Rows],
) -> Call[Picture]:
    """The children of two faces on a sheet, or one child alone."""
    query = _query(options, parents=Seeds(parents), children=children, child=child)
    return Call("GET", "/family", _picture, query)


def sheet(
    seeds: Sequence[str] | None = None,
    count: int | None = None,
    start: int | None = None,
    **options: Unpack[Rows],
) -> Call[Picture]:
    """Several faces in one picture: of `seeds`, or of `count` numbers from `start`."""
    names = None if seeds is None else Seeds(seeds)
    return Call("GET", "/sheet", _picture, _query(options, seeds=names, count=count, start=start))


def og(seed: str, **options: Unpack[Card]) -> Call[Picture]:
    """The link card of a seed (Open Graph)."""
    return Call("GET", "/og", _picture, _query(options, seed=seed))


def avatars(
    seeds: Sequence[str], distinct: bool = False, **options: Unpack[Face]
) -> Call[list[Member]]:
    """Several faces in one answer, in the order of their seeds; distinct: no two look alike."""
    body = {"seeds": list(seeds), "distinct": distinct, **_query(options)}
    headers = {"Accept": "application/x-ndjson"}
    return Call("POST", "/avatars", _members, headers=headers, json=body)


def _query(options: Mapping[str, Any], **parameters: Any) -> dict[str, str]:
    values = {**parameters, **options, **options.get("traits", {})}
    values.pop("traits", None)
    return {name: format_value(value) for name, value in values.items() if value is not None}


def _picture(answer: httpx.Response) -> Picture:
    headers = answer.headers
    return Picture(answer.content, headers["Content-Type"], headers["X-Avatar-Model"])


def _avatar(answer: httpx.Response) -> Avatar:
    headers = answer.headers
    seed = unquote(headers["X-Avatar-Seed"])
    return Avatar(answer.content, headers["Content-Type"], headers["X-Avatar-Model"], seed)


def _members(answer: httpx.Response) -> list[Member]:
    model = answer.headers["X-Avatar-Model"]
    return [_member(json.loads(line), model) for line in answer.text.splitlines()]


def _member(fields: dict[str, Any], model: str) -> Member:
    content = base64.b64decode(fields["content"])
    return Member(
        content, fields["type"], model, fields["seed"], fields["variant"], fields["address"]
    )
