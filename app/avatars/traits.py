"""Traits: what a model lets one choose of a face.

Each is a parameter: a word of those that its dataset says, or a number for a slider.
"""

from collections.abc import Mapping
from typing import Any

from app.avatars.request.parameters import Parameter, choice, number
from app.errors import InvalidParameter
from models.bundle.format import Card
from models.faces.sliders import HIGH, LOW


def rows(card: Card) -> dict[str, Parameter]:
    """The parameters that this model adds, by name."""
    chosen = [
        choice(attribute.name, attribute.available, "As the dataset labels it.")
        for attribute in card.attributes
    ]
    moved = [
        number(each.name, LOW, HIGH, f"{each.changes}; 0 changes nothing.", default="0")
        for each in card.sliders
    ]
    return {parameter.name: parameter for parameter in (*chosen, *moved)}


def read(card: Card, given: Mapping[str, str], beside: tuple[str, ...]) -> dict[str, Any]:
    """Check what is asked of a model; by name, so that an order gives no other address.

    `beside`: the parameters that it could have been. Raises InvalidParameter.
    """
    known = rows(card)
    for name in given:
        if name not in known:
            has = "no trait of this model" if known else "this model has no traits"
            problem = f"is not a parameter here, and {has}"
            raise InvalidParameter(name, problem, [*beside, *known])
    return {name: known[name].value(given[name]) for name in sorted(given)}
