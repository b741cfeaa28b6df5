"""The parts of a request that depend on the model: its traits and its default psi.

A trait is one more parameter of every picture: a value of a dataset's attribute, or a slider's
number.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.avatars.request.parameters import Parameter, choice, number
from app.avatars.request.picture_request import PictureRequest
from app.errors import InvalidParameter
from app.http.query_string import is_tracking
from models.bundle.format import Card
from models.faces.sliders import HIGH, LOW

LEGIBLE = 0.8  # share of faces that must show a requested value
LEGIBLE_PSI = 0.5  # below it, faces of models without truncation by attributes lose their traits


def trait_parameters(card: Card) -> dict[str, Parameter]:
    """The parameters that a model adds, by name."""
    attributes = [
        choice(attribute.name, attribute.available, "A value that the dataset labels.")
        for attribute in card.traits
    ]
    sliders = [
        number(slider.name, LOW, HIGH, f"{slider.changes}; 0 changes nothing.", default="0")
        for slider in card.sliders
    ]
    return {parameter.name: parameter for parameter in (*attributes, *sliders)}


def resolve(request: PictureRequest, card: Card) -> PictureRequest:
    """The request with its traits parsed, and the model's psi where it has none.

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
    if not texts:  # most requests; listing the parameters takes a tenth of a face's time
        return {}
    parameters = trait_parameters(card)
    texts = {
        name: text for name, text in texts.items() if name in parameters or not is_tracking(name)
    }
    for name in texts:
        if name not in parameters:
            reason = "not a trait of this model" if parameters else "this model has no traits"
            problem = f"is not a parameter here, and {reason}"
            raise InvalidParameter(name, problem, [*other_names, *parameters])
    return {name: parameters[name].value(texts[name]) for name in sorted(texts)}


def legible_traits(
    traits: Mapping[str, str | float], values: Mapping[str, Any], card: Card
) -> dict[str, str | float]:
    """The traits that the face surely shows, so that alternative text is true.

    None at an earlier checkpoint, nor where psi pulls towards the average of all faces; and no
    attribute that the model's evaluation found to be shown by fewer than LEGIBLE of the faces.
    """
    is_averaged = card.truncation == "average" and values["psi"] < LEGIBLE_PSI
    if values.get("age") is not None or is_averaged:
        return {}
    rows = card.evaluation.traits if card.evaluation else []
    unsure = {row["name"] for row in rows if row.get("shown", 1) < LEGIBLE}
    return {name: value for name, value in traits.items() if name not in unsure}
