"""What a batch asks for: the body of `POST /avatars`, read as strictly as a query."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from app.avatars.request.picture_request import Asked, asked
from app.avatars.request.picture_types import AVATAR
from app.avatars.request.value_types import text
from app.errors import InvalidParameter, TooLarge

MOST = 1000  # seeds
LARGEST = 8 * 2**20  # bytes of a body; 1,000 of the longest seeds in ASCII have 4

# As OpenAPI has it.
BODY: dict[str, Any] = {
    "type": "object",
    "required": ["seeds"],
    "additionalProperties": {"type": "string", "description": "A trait of the model."},
    "properties": {
        "seeds": {"type": "array", "minItems": 1, "maxItems": MOST, "items": {"type": "string"}},
        "distinct": {
            "type": "boolean",
            "default": False,
            "description": "No face too like an earlier one.",
        },
        **{row.name: row.schema for row in AVATAR.rows if row.name != "seed"},
        "format": {"type": "string", "enum": list(AVATAR.all_formats)},
    },
}


@dataclass(frozen=True)
class Batch:
    """What a body asks for, checked."""

    faces: list[Asked]
    distinct: bool


def read(body: Mapping[str, Any]) -> Batch:
    """Raises InvalidParameter, InvalidSeed."""
    given = {name: _text(name, body[name]) for name in body if name not in ("seeds", "distinct")}
    distinct = body.get("distinct", False)
    if not isinstance(distinct, bool):
        raise InvalidParameter("distinct", f"is {str(distinct)[:40]!r}", "true or false")
    if "seed" in given:
        raise InvalidParameter("seed", "is not a parameter here", "seeds, a list")
    if distinct and given.keys() & {"variant", "best_of"}:
        raise InvalidParameter("distinct", "chooses the variant", "no variant and no best_of")
    return Batch([asked(AVATAR, {**given, "seed": seed}) for seed in _seeds(body)], distinct)


def _seeds(body: Mapping[str, Any]) -> list[str]:
    seeds = body.get("seeds")
    if not isinstance(seeds, list) or not 1 <= len(seeds) <= MOST:
        raise InvalidParameter("seeds", "cannot be used", f"a list of 1 to {MOST:,} texts")
    return [_text("seeds", seed) for seed in seeds]


def _text(name: str, value: Any) -> str:
    # A bool is an int to Python, not to whoever wrote `true`.
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidParameter(name, f"is {str(value)[:40]!r}", "a text or a number")
    return text(value)


async def body(request: Request) -> dict[str, Any]:
    """A request's JSON object. Raises InvalidParameter, TooLarge."""
    given = bytearray()
    async for chunk in request.stream():
        given += chunk
        if len(given) > LARGEST:
            raise TooLarge(f"A batch has at most {LARGEST:,} bytes.")
    try:
        found = json.loads(given)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        allowed = 'a JSON object such as {"seeds": ["ada", "grace"], "size": 128}'
        raise InvalidParameter("body", "cannot be read", allowed)
    return found
