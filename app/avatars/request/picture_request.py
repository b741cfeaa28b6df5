"""One picture that somebody asks for: its kind, its checked values, its format."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from urllib.parse import quote

from app.avatars import traits
from app.avatars.encode import formats
from app.avatars.encode.formats import FORMATS
from app.avatars.encode.negotiation import negotiate
from app.avatars.encode.provenance import Stamp
from app.avatars.request.parameters import Values
from app.avatars.request.picture_types import AVATAR, Kind
from app.avatars.request.value_types import quoted, text
from app.errors import InvalidParameter
from app.http.query_string import decode, parse
from models.bundle.format import Card
from models.faces import latents


@dataclass(frozen=True)
class Asked:
    """`negotiated`: the Accept header chose the format.

    `unread`: names that only the model may know; `of` reads them into the values.
    """

    kind: Kind
    values: Values
    negotiated: bool = False
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """As the request names it."""
        model: str = self.values["model"]
        return model

    @property
    def seed(self) -> str | None:
        """Of the one face, where it is one seed's."""
        return self.values.get("seed")

    @property
    def media(self) -> str:
        """The type of the answer."""
        return FORMATS[self.values["format"]].media

    def of(self, card: Card) -> "Asked":
        """With the model's traits among the values. Raises InvalidParameter."""
        chosen = traits.read(card, self.unread, self.kind.names)
        return replace(self, values={**self.values, **chosen}, unread={})

    @cached_property
    def canonical(self) -> str:
        """What decides the bytes, the model aside."""
        words = ((name, value) for name, value in self.values.items() if value is not None)
        pairs = (f"{name}={_word(value)}" for name, value in words if name != "model")
        return f"{self.kind.path}?{'&'.join(pairs)}"

    def address(self, model: str | None = None) -> str:
        """The URL, relative to the server, that asks for exactly this."""
        return f"{self.canonical}&model={quoted(model or self.model)}"

    def stamp(self, version: str) -> Stamp:
        """What the picture says of itself."""
        return Stamp(version, self.address(version))


def _word(value: Any) -> str:
    word = text(value)
    # A number needs no quoting; a list's commas and colons stay readable.
    return word if isinstance(value, int | float) else quote(word, safe=",:")


def asked(kind: Kind, given: Mapping[str, str], accept: str | None = None) -> Asked:
    """Check what is given by name, traits aside. Raises InvalidParameter, InvalidSeed."""
    found: dict[str, Any] = kind.read(given)
    unread = {name: text for name, text in given.items() if name not in kind.names}
    named, among = given.get("format"), kind.formats(found)
    found["format"] = negotiate(accept, among) if named is None else formats.chosen(named, among)
    return Asked(kind, found, named is None, unread)


def from_query(kind: Kind, raw: bytes, accept: str | None) -> tuple[Asked, bool]:
    """What is asked, and whether it can be asked again; an avatar without a seed cannot."""
    given = parse(raw)
    if kind is AVATAR and "seed" not in given:
        return asked(kind, {**given, "seed": latents.random_seed()}, accept), False
    return asked(kind, given, accept), True


def from_path(name: bytes, raw: bytes, accept: str | None) -> Asked:
    """`GET /avatar/{seed}.{ext}`, `name` still percent-encoded. Raises UnknownExtension."""
    given = _seedless(raw)
    seed, dot, extension = decode(name, "seed").rpartition(".")
    if not dot:
        return asked(AVATAR, {**given, "seed": extension}, accept)
    if "format" in given:  # the extension decides, but nothing wrong is let pass
        formats.chosen(given["format"], formats.STILL)
    named = formats.of_extension(extension)
    return asked(AVATAR, {**given, "seed": seed, "format": named}, accept)


def random(raw: bytes) -> tuple[Asked, dict[str, str]]:
    """`GET /avatar/random`: a new face, and the words that ask for it again."""
    words = {"seed": latents.random_seed(), **_seedless(raw)}
    return asked(AVATAR, words), words


def _seedless(raw: bytes) -> dict[str, str]:
    given = parse(raw)
    if "seed" in given:
        names = [name for name in AVATAR.names if name != "seed"]
        raise InvalidParameter("seed", "is not a parameter here", names)
    return given
