"""Parses the body of `POST /avatars`, as strictly as a query."""

import asyncio
import json
import math
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.avatars.request.picture_request import PictureRequest
from app.avatars.request.picture_types import AVATAR
from app.avatars.request.value_types import format_value
from app.concurrency_limits.body_budget import BodyBudget
from app.errors import InvalidParameter, TooLarge

MOST_SEEDS = 1000
MOST_NAMES = 256  # parameters and traits in one body; every face gets each of them
BODY_SECONDS = 120.0  # for a whole body; the largest takes 67 s at 1 Mbit/s
# Commas and brackets in a body, those within seeds too. Parsing eight million would stop the event
# loop for seconds and take 240 MB.
MOST_MARKS = 100_000
LARGEST_BODY = 8 * 2**20  # bytes; 1,000 of the longest seeds in ASCII have 4 MB

# The JSON schema of the body.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["seeds"],
    "additionalProperties": {"type": "string", "description": "A trait of the model."},
    "properties": {
        "seeds": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_SEEDS,
            "items": {"type": "string"},
        },
        "distinct": {
            "type": "boolean",
            "default": False,
            "description": "Replace faces that are too similar to an earlier one.",
        },
        **{row.name: row.schema for row in AVATAR.parameters if row.name != "seed"},
        "format": {"type": "string", "enum": list(AVATAR.all_formats)},
    },
}


@dataclass(frozen=True)
class BulkRequest:
    """The faces that a body requests; is_distinct: no two of them may be similar."""

    faces: list[PictureRequest]
    is_distinct: bool


def parse_body(body: Mapping[str, Any]) -> BulkRequest:
    """Parse and check a body, traits aside. Raises InvalidParameter, InvalidSeed."""
    if len(body) > MOST_NAMES:
        raise InvalidParameter("body", f"has {len(body):,} names", f"at most {MOST_NAMES}")
    texts = {
        name: _parse_text(name, body[name]) for name in body if name not in ("seeds", "distinct")
    }
    is_distinct = body.get("distinct", False)
    if not isinstance(is_distinct, bool):
        raise InvalidParameter("distinct", f"is {str(is_distinct)[:40]!r}", "true or false")
    if "seed" in texts:
        raise InvalidParameter("seed", "is not a parameter here", "seeds, a list")
    if is_distinct and texts.keys() & {"variant", "best_of"}:
        raise InvalidParameter("distinct", "chooses the variant", "no variant and no best_of")
    seeds = [AVATAR.by_name["seed"].value(seed) for seed in _parse_seeds(body)]
    # Parsed once: a thousand times would keep every other client waiting.
    first = PictureRequest.parse(AVATAR, {**texts, "seed": seeds[0]})
    return BulkRequest([first.with_values(seed=seed) for seed in seeds], is_distinct)


def _parse_seeds(body: Mapping[str, Any]) -> list[str]:
    seeds = body.get("seeds")
    if not isinstance(seeds, list) or not 1 <= len(seeds) <= MOST_SEEDS:
        raise InvalidParameter("seeds", "cannot be used", f"a list of 1 to {MOST_SEEDS:,} texts")
    return [_parse_text("seeds", seed) for seed in seeds]


def _parse_text(name: str, value: Any) -> str:
    # Python's bool is an int, but JSON's `true` is not a number.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # A number above all doubles is read as infinite: its face would be that of the seed `inf`.
    if not isinstance(value, str) and not (is_number and abs(value) < math.inf):
        raise InvalidParameter(name, f"is {str(value)[:40]!r}", "a text or a number")
    return format_value(value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's members. Raises InvalidParameter where two have one name, as a query does."""
    members = dict(pairs)
    if len(members) < len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise InvalidParameter(name, "is given twice", "once")
    return members


def _refuse_constant(text: str) -> NoReturn:
    """NaN and Infinity, which Python reads, are no JSON."""
    raise ValueError(text)


async def read_body(request: Request, budget: BodyBudget, client: Hashable) -> dict[str, Any]:
    """The JSON object in a request's body. Raises InvalidParameter, TooLarge, Overloaded."""
    content = bytearray()
    with budget.hold(client) as grow:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    content += chunk
                    if len(content) > LARGEST_BODY:
                        raise TooLarge(f"The body may have at most {LARGEST_BODY:,} bytes.")
                    grow(len(content))
        except TimeoutError:
            raise HTTPException(
                408, f"The body was incomplete after {BODY_SECONDS:g} seconds."
            ) from None
        if sum(map(content.count, (b",", b"[", b"{"))) > MOST_MARKS:
            domain = f"{MOST_SEEDS:,} seeds with at most {MOST_MARKS:,} commas and brackets in all"
            raise InvalidParameter("body", "has too many items", domain)
        try:
            body = json.loads(content, object_pairs_hook=_unique, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            body = None
    if not isinstance(body, dict):
        domain = 'a JSON object such as {"seeds": ["ada", "grace"], "size": 128}'
        raise InvalidParameter("body", "cannot be read", domain)
    return body
