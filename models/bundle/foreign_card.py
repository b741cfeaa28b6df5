"""The card of a bundle from elsewhere: pages and headers must be able to use all that it says.

Stricter than `Card`, which also reads the cards of older versions. Not a check of bundles that are
already published, whose faces may not depend on later rules.
"""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.bundle.format import CARD, Card, Evaluation, read_card
from models.errors import BadBundle

LARGEST_NUMBER = 2**53  # a double has every integer up to it (RFC 8259 §6)
YEARS = range(2000, 9999)
Share = Annotated[float, Field(ge=0, le=1)]
# What the page of a card shows of each part, where the part is there.
REQUIRED_MEASURES = {
    "measures": ("samples", "novelty", "copies"),
    "served": ("size",),
    "held_out": ("fd", "fd_trained", "samples"),
    "backgrounds": ("two_coloured",),
}
INTERVAL = "_interval"  # the end of a measure's name that has two numbers


class _TraitRow(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str
    shown: Share
    kept: Share
    judge: Share


def check(folder: Path) -> None:
    """Raises BadBundle unless the card of a bundle's folder can be shown."""
    content = read_card(folder)
    try:  # strict: pages show the JSON itself, in which "5000" is no number
        card = Card.model_validate_json((folder / CARD).read_bytes(), strict=True)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise BadBundle(f"The bundle's {CARD} has a value of another type: `{field}`.") from None
    problems = [*_numbers(content), *_problems(card)]
    if problems:
        raise BadBundle(f"The bundle's {CARD} cannot be used: {problems[0]}.")


def _numbers(content: Any) -> Iterator[str]:
    """A problem for each number that JSON or JavaScript cannot represent."""
    if isinstance(content, dict | list):
        for part in content.values() if isinstance(content, dict) else content:
            yield from _numbers(part)
    elif isinstance(content, int | float) and not abs(content) <= LARGEST_NUMBER:
        yield "it has a number that is not finite, or too large"


def _problems(card: Card) -> Iterator[str]:
    if not _is_time(card.created):
        yield "`created` is no time"
    if min(card.training.images, card.training.seconds, card.dataset.images) < 0:
        yield "a number of pictures or seconds is negative"
    if not isinstance(card.recipe.get("preset"), str):
        yield "`recipe` lacks `preset`"
    if card.evaluation is not None:
        yield from _evaluation_problems(card.evaluation)


def _is_time(text: str) -> bool:
    try:
        return datetime.datetime.fromisoformat(text).year in YEARS
    except ValueError:
        return False


def _evaluation_problems(evaluation: Evaluation) -> Iterator[str]:
    for part, names in REQUIRED_MEASURES.items():
        numbers = getattr(evaluation, part)
        if part == "measures" or numbers:
            yield from (f"`{part}` lacks `{name}`" for name in names if name not in numbers)
        for name, value in numbers.items():
            if isinstance(value, list) != name.endswith(INTERVAL):
                yield f"`{name}` has another number of values"
    for row in evaluation.traits:
        try:
            _TraitRow.model_validate(row)
        except ValidationError:
            yield "a row of `traits` lacks its name, or a share"
