"""What only the model knows of a request: its traits and its default psi.

A trait is one more parameter of every picture: a value of a dataset's attribute, or a slider's
number.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.avatars.request.parameters import Parameter, choice, number
from app.avatars.request.picture_request import PictureRequest
from app.errors import InvalidParameter
from models.bundle.format import Card
from models.faces.sliders import HIGH, LOW


def trait_parameters(card: Card) -> dict[str, Parameter]:
    """The parameters that a model adds, by name."""
    attributes = [
        choice(attribute.name, attribute.available, "A value that the dataset labels.")
        for attribute in card.attributes
    ]
    sliders = [
        number(slider.name, LOW, HIGH, f"{slider.changes}; 0 changes nothing.", default="0")
        for slider in card.sliders
    ]
    return {parameter.name: parameter for parameter in (*attributes, *sliders)}


def resolve(request: PictureRequest, card: Card) -> PictureRequest:
    """Fill in what only the model knows: its traits, parsed, and its default psi.

    Raises InvalidParameter for unknown traits.
    """
    names = request.picture_type.names
    values = {**request.values, **_parse_traits(card, request.trait_texts, names)}
    if values["psi"] is None:
        values["psi"] = card.psi
    return replace(request, values=values, trait_texts={})


def _parse_traits(
    card: Card, texts: Mapping[str, str], other_names: tuple[str, ...]
) -> dict[str, Any]:
    """Values by name, sorted, so that equal requests get equal addresses."""
    parameters = trait_parameters(card)
    for name in texts:
        if name not in parameters:
            reason = "not a trait of this model" if parameters else "this model has no traits"
            problem = f"is not a parameter here, and {reason}"
            raise InvalidParameter(name, problem, [*other_names, *parameters])
    return {name: parameters[name].value(texts[name]) for name in sorted(texts)}
