"""The pictures that can be asked of Kao's HTTP interface: a call a kind, its options typed.

    kao.send(faces.avatar("ada", size=256, traits={"hair_colour": "pink"}))
    kao.send(faces.morph("ada", "grace", frames=48, format="webp"))

Options that are left out are the server's defaults; docs/api.md says what each may be.
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
    """Of every picture. `traits`: values by name, as `calls.model(…)` lists them."""

    model: str
    psi: float
    format: str
    traits: Mapping[str, str | float]


class Look(Common, total=False):
    """Of all but the card for links. `size`: pixels; `backdrop`: hex digits or `transparent`."""

    size: int
    dpr: float
    shape: Shape
    backdrop: str


class Face(Look, total=False):
    """Of one seed's face."""

    variant: int
    best_of: int
    age: float


class Loop(Look, total=False):
    """Of motion. `fps`: frames a second."""

    frames: int
    fps: float
    ease: Literal["linear", "sine", "cubic"]


class Rows(Look, total=False):
    """Of faces in rows. `gap`: pixels."""

    columns: int
    gap: int


class Card(Common, total=False):
    """Of the card for links."""

    shape: Shape
    variant: int
    best_of: int
    age: float


@dataclass(frozen=True)
class Picture:
    """A file's bytes, and the version that drew it."""

    content: bytes
    media_type: str
    model: str


@dataclass(frozen=True)
class Avatar(Picture):
    """A seed's face."""

    seed: str


@dataclass(frozen=True)
class Member(Avatar):
    """One of many. `address`: the URL, relative, that asks for this face alone."""

    variant: int
    address: str


def avatar(seed: str | None = None, **options: Unpack[Face]) -> Call[Avatar]:
    """The face of a seed; without one, a face that nobody saw before."""
    return Call("GET", "/avatar", _avatar, _query(options, seed=seed))


def morph(start: str, end: str, t: float | None = None, **options: Unpack[Loop]) -> Call[Picture]:
    """From one face to another: at `t`, or there and back as a loop."""
    return Call("GET", "/morph", _picture, _query(options, **{"from": start, "to": end, "t": t}))


def walk(seed: str, stops: int | None = None, **options: Unpack[Loop]) -> Call[Picture]:
    """A loop through several faces of one seed."""
    return Call("GET", "/walk", _picture, _query(options, seed=seed, stops=stops))


def grow(seed: str, **options: Unpack[Loop]) -> Call[Picture]:
    """A loop of a face growing up, from its model's first moment to now and back."""
    return Call("GET", "/grow", _picture, _query(options, seed=seed))


def mix(coarse: str, fine: str, at: int | None = None, **options: Unpack[Look]) -> Call[Picture]:
    """The shapes of one face, the details of another."""
    return Call("GET", "/mix", _picture, _query(options, coarse=coarse, fine=fine, at=at))


def blend(weights: Mapping[str, float], **options: Unpack[Look]) -> Call[Picture]:
    """The face of a team, each seed with its weight."""
    team = WeightedSeeds(Seeds(weights), tuple(weights.values()))
    return Call("GET", "/blend", _picture, _query(options, seeds=team))


def family(
    parents: tuple[str, str],
    children: int | None = None,
    child: int | None = None,
    **options: Unpack[Rows],
) -> Call[Picture]:
    """The children of two faces on a sheet, or one of them alone."""
    asked = _query(options, parents=Seeds(parents), children=children, child=child)
    return Call("GET", "/family", _picture, asked)


def sheet(
    seeds: Sequence[str] | None = None,
    count: int | None = None,
    start: int | None = None,
    **options: Unpack[Rows],
) -> Call[Picture]:
    """Many faces in one picture: those of `seeds`, or of `count` numbers from `start`."""
    listed = None if seeds is None else Seeds(seeds)
    return Call("GET", "/sheet", _picture, _query(options, seeds=listed, count=count, start=start))


def og(seed: str, **options: Unpack[Card]) -> Call[Picture]:
    """A card for links."""
    return Call("GET", "/og", _picture, _query(options, seed=seed))


def avatars(
    seeds: Sequence[str], distinct: bool = False, **options: Unpack[Face]
) -> Call[list[Member]]:
    """Many faces at once, in the order of their seeds; `distinct` keeps them apart."""
    body = {"seeds": list(seeds), "distinct": distinct, **_query(options)}
    lines = {"Accept": "application/x-ndjson"}
    return Call("POST", "/avatars", _members, headers=lines, json=body)


def _query(options: Mapping[str, Any], **asked: Any) -> dict[str, str]:
    words = {**asked, **options, **options.get("traits", {})}
    words.pop("traits", None)
    return {name: format_value(value) for name, value in words.items() if value is not None}


def _picture(answer: httpx.Response) -> Picture:
    told = answer.headers
    return Picture(answer.content, told["Content-Type"], told["X-Avatar-Model"])


def _avatar(answer: httpx.Response) -> Avatar:
    told = answer.headers
    seed = unquote(told["X-Avatar-Seed"])
    return Avatar(answer.content, told["Content-Type"], told["X-Avatar-Model"], seed)


def _members(answer: httpx.Response) -> list[Member]:
    model = answer.headers["X-Avatar-Model"]
    return [_member(json.loads(line), model) for line in answer.text.splitlines()]


def _member(told: dict[str, Any], model: str) -> Member:
    content = base64.b64decode(told["content"])
    return Member(content, told["type"], model, told["seed"], told["variant"], told["address"])
