"""A parsed and checked request for one picture."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self
from urllib.parse import quote

from app.avatars import formats
from app.avatars.formats import FORMATS, negotiate
from app.avatars.request import costs
from app.avatars.request.parameters import Values
from app.avatars.request.picture_types import AVATAR, PictureType
from app.avatars.request.value_types import format_value, percent_encode
from app.errors import InvalidParameter
from app.http.query_string import decode, parse
from models.faces import latents

# Addresses contain these even at their defaults, since the pictures of version 0.1 do: leaving one
# out would change the ETag and the bytes of every picture. Any other parameter is left out at its
# default, so a new one changes nothing for the pictures that do not use it.
ALWAYS_IN_ADDRESS = frozenset(
    {"size", "dpr", "shape", "backdrop", "psi", "variant", "best_of", "frames", "fps", "ease"}
    | {"stops", "gap", "children", "start"}
)


@dataclass(frozen=True)
class PictureRequest:
    """One picture: its type and the values of its parameters.

    is_negotiated: the Accept header chose the format. trait_texts: texts by the name of a trait,
    not parsed yet, since they depend on the model (`app/avatars/traits.py`).
    """

    picture_type: PictureType
    values: Values
    is_negotiated: bool = False
    trait_texts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(
        cls, picture_type: PictureType, texts: Mapping[str, str], accept: str | None = None
    ) -> Self:
        """Parse and check texts by name, traits aside. Raises InvalidParameter, InvalidSeed."""
        values = picture_type.parse(texts)
        choices = picture_type.formats_of(values)
        format = texts.get("format")
        values["format"] = (
            negotiate(accept, choices) if format is None else formats.parse_format(format, choices)
        )
        trait_texts = {name: text for name, text in texts.items() if name not in picture_type.names}
        return cls(picture_type, values, format is None, trait_texts)

    @property
    def model(self) -> str:
        """The model's name: an alias, a version or a prefix of one."""
        model: str = self.values["model"]
        return model

    @property
    def seed(self) -> str | None:
        """The seed, of pictures that have exactly one."""
        return self.values.get("seed")

    @property
    def format(self) -> str:
        """The output format's name."""
        format: str = self.values["format"]
        return format

    @property
    def media_type(self) -> str:
        """The media type of the picture."""
        return FORMATS[self.format].media_type

    @property
    def face_size(self) -> int:
        """The side of each face in device pixels."""
        return self.picture_type.face_size(self.values)

    @property
    def is_single(self) -> bool:
        """Whether a parameter reduces a loop or a sheet to one face."""
        return self.picture_type.is_single(self.values)

    def estimate(self, has_enlarger: bool = True) -> costs.Estimate:
        """The time and memory that drawing and encoding it takes."""
        return costs.estimate(self.picture_type.cost_shape(self.values), has_enlarger)

    def with_values(self, **values: Any) -> Self:
        """The request with some values replaced or added."""
        return replace(self, values={**self.values, **values})

    @cached_property
    def canonical(self) -> str:
        """Path and query of everything but the model that decides the picture's bytes."""
        pairs = (
            f"{name}={_format_text(value)}"
            for name, value in self.values.items()
            if self._is_in_address(name, value)
        )
        return f"{self.picture_type.path}?{'&'.join(pairs)}"

    def address(self, model: str | None = None) -> str:
        """The URL, relative to the server, of exactly this picture."""
        return f"{self.canonical}&model={percent_encode(model or self.model)}"

    def _is_in_address(self, name: str, value: Any) -> bool:
        if value is None or name == "model":
            return False
        parameter = self.picture_type.by_name.get(name)
        if parameter is None or name in ALWAYS_IN_ADDRESS:
            return True
        return parameter.default is None or value != parameter.default_value()


def _format_text(value: Any) -> str:
    text = format_value(value)
    # A number needs no encoding; commas and colons of lists stay readable.
    return text if isinstance(value, int | float) else quote(text, safe=",:")


def parse_query(
    picture_type: PictureType, query: bytes, accept: str | None
) -> tuple[PictureRequest, bool]:
    """The request of a query string, and whether it is repeatable.

    `/avatar` without a seed gets a random one, so it is not repeatable.
    """
    texts = parse(query, known=picture_type.names)
    if picture_type is AVATAR and "seed" not in texts:
        texts = {**texts, "seed": latents.random_seed()}
        return PictureRequest.parse(picture_type, texts, accept), False
    return PictureRequest.parse(picture_type, texts, accept), True


def parse_path(name: bytes, query: bytes, accept: str | None) -> PictureRequest:
    """The request of `GET /avatar/{seed}.{ext}`; `name` is percent-encoded.

    Raises UnknownExtension, InvalidParameter, InvalidSeed.
    """
    texts = _parse_without_seed(query)
    seed, dot, extension = decode(name, "seed").rpartition(".")
    if not dot:
        return PictureRequest.parse(AVATAR, {**texts, "seed": extension}, accept)
    if (without_slash := extension.rstrip("/")).lower() in formats.EXTENSIONS:
        extension = without_slash  # as proxies and routers append it
    if "format" in texts:  # the extension wins, but an invalid format is refused all the same
        formats.parse_format(texts["format"], formats.FACE)
    format = formats.parse_extension(extension)
    return PictureRequest.parse(AVATAR, {**texts, "seed": seed, "format": format}, accept)


def parse_random(query: bytes) -> tuple[PictureRequest, dict[str, str]]:
    """The request of `GET /avatar/random` with a new seed, and its query parameters as texts."""
    texts = {"seed": latents.random_seed(), **_parse_without_seed(query)}
    return PictureRequest.parse(AVATAR, texts), texts


def _parse_without_seed(query: bytes) -> dict[str, str]:
    texts = parse(query, known=AVATAR.names)
    if "seed" in texts:
        names = [name for name in AVATAR.names if name != "seed"]
        raise InvalidParameter("seed", "is not a parameter here", names)
    return texts
