"""The calls that answer with pictures, with typed options.

    kao.avatar("ada", size=256, traits={"hair_colour": "pink"})
    kao.morph("ada", "grace", frames=48, format="webp")

The server chooses the default of an option that is left out.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack
from urllib.parse import quote, unquote

import httpx

from kao_client.answers import Description, Face, Member, Picture, read
from kao_client.calls import Call, format_value, query

Shape = Literal["square", "circle", "rounded"]
Ease = Literal["linear", "sine", "cubic"]


class ModelOptions(TypedDict, total=False):
    """Options of every picture. traits: values by name, as `Client.model` lists them."""

    model: str
    psi: float
    format: str
    traits: Mapping[str, str | float]


class LookOptions(ModelOptions, total=False):
    """Options of all but the link card. size: pixels; backdrop: hex digits or `transparent`."""

    size: int
    dpr: float
    shape: Shape
    backdrop: str


class FaceOptions(LookOptions, total=False):
    """Options of the face of one seed."""

    variant: int
    best_of: int
    age: float


class LoopOptions(LookOptions, total=False):
    """Options of animations. fps: frames per second."""

    frames: int
    fps: float
    ease: Ease


class SheetOptions(LookOptions, total=False):
    """Options of faces in rows. gap: pixels."""

    columns: int
    gap: int


class CardOptions(ModelOptions, total=False):
    """Options of the link card."""

    shape: Shape
    variant: int
    best_of: int
    age: float


def avatar(seed: str | None = None, **options: Unpack[FaceOptions]) -> Call[Face]:
    """The face of a seed; without one, of a random seed."""
    return Call("GET", "/avatar", _read_face, _query(options, seed=seed))


def describe(seed: str, **options: Unpack[FaceOptions]) -> Call[Description]:
    """The face of a seed in words: traits, alternative text, colours."""
    texts = _query({**options, "format": "json"}, seed=seed)
    return Call("GET", "/avatar", lambda answer: read(Description, answer.json()), texts)


def avatars(
    seeds: Sequence[str], distinct: bool = False, **options: Unpack[FaceOptions]
) -> Call[list[Member]]:
    """Several faces in the order of their seeds; distinct: no two look alike."""
    body = {"seeds": list(seeds), "distinct": distinct, **_query(options)}
    headers = {"Accept": "application/x-ndjson"}
    return Call("POST", "/avatars", _read_members, headers=headers, json=body)


def morph(
    start: str, end: str, t: float | None = None, **options: Unpack[LoopOptions]
) -> Call[Picture]:
    """Interpolate between two faces: at `t`, or back and forth as a loop."""
    return _picture("/morph", options, **{"from": start, "to": end, "t": t})


def walk(seed: str, stops: int | None = None, **options: Unpack[LoopOptions]) -> Call[Picture]:
    """A loop through several faces of one seed."""
    return _picture("/walk", options, seed=seed, stops=stops)


def grow(seed: str, **options: Unpack[LoopOptions]) -> Call[Picture]:
    """A loop through the training of the model: one face at its checkpoints and back."""
    return _picture("/grow", options, seed=seed)


def mix(
    coarse: str, fine: str, at: int | None = None, **options: Unpack[LookOptions]
) -> Call[Picture]:
    """The coarse features of one face with the fine ones of another."""
    return _picture("/mix", options, coarse=coarse, fine=fine, at=at)


def blend(weights: Mapping[str, float], **options: Unpack[LookOptions]) -> Call[Picture]:
    """The weighted mean of several faces."""
    pairs = (f"{_item(seed)}:{format_value(weight)}" for seed, weight in weights.items())
    return _picture("/blend", options, seeds=",".join(pairs))


def family(
    parents: tuple[str, str],
    children: int | None = None,
    child: int | None = None,
    **options: Unpack[SheetOptions],
) -> Call[Picture]:
    """The children of two faces on a sheet, or one child alone."""
    names = ",".join(map(_item, parents))
    return _picture("/family", options, parents=names, children=children, child=child)


def sheet(
    seeds: Sequence[str] | None = None,
    count: int | None = None,
    start: int | None = None,
    **options: Unpack[SheetOptions],
) -> Call[Picture]:
    """Several faces in one picture: of `seeds`, or of `count` numbers from `start`."""
    names = None if seeds is None else ",".join(map(_item, seeds))
    return _picture("/sheet", options, seeds=names, count=count, start=start)


def og(seed: str, **options: Unpack[CardOptions]) -> Call[Picture]:
    """The link card of a seed (Open Graph)."""
    return _picture("/og", options, seed=seed)


def _picture(path: str, options: Mapping[str, Any], **parameters: Any) -> Call[Picture]:
    return Call("GET", path, _read_picture, _query(options, **parameters))


def _query(options: Mapping[str, Any], **parameters: Any) -> dict[str, str]:
    values = {**parameters, **options, **options.get("traits", {})}
    values.pop("traits", None)
    return query(values)


def _item(seed: str) -> str:
    """A seed within a list, whose separators are unencoded commas and colons."""
    return quote(seed, safe="")


def _read_picture(answer: httpx.Response) -> Picture:
    headers = answer.headers
    return Picture(answer.content, headers["Content-Type"], headers["X-Avatar-Model"])


def _read_face(answer: httpx.Response) -> Face:
    headers = answer.headers
    seed = unquote(headers["X-Avatar-Seed"])
    return Face(answer.content, headers["Content-Type"], headers["X-Avatar-Model"], seed)


def _read_members(answer: httpx.Response) -> list[Member]:
    model, lines = answer.headers["X-Avatar-Model"], answer.text.splitlines()
    return [_read_member(json.loads(line), model) for line in lines]


def _read_member(members: dict[str, Any], model: str) -> Member:
    content = base64.b64decode(members.pop("content"))
    return read(
        Member, {**members, "content": content, "media_type": members["type"], "model": model}
    )
