"""A model's card as a page: what `GET /models/{name}` says, for people."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from app.auth.scopes import needs
from app.avatars import traits
from app.avatars.request.parameters import Parameter
from app.http.query_string import Only
from app.state import Services
from app.studio.pages import render
from models.bundle.format import Card

router = APIRouter(
    prefix="/models",
    include_in_schema=False,
    dependencies=[needs("avatars"), Depends(Only("lang"))],
)
# Of a measure: the fields with its value, a perfect model's, and that of blurred real images.
ROWS = (
    ("FD-Lite0", "fd", "fd_floor", "fd_blur2"),
    ("FD-Own", "fd_own", "fd_own_floor", ""),
    ("KID-Lite0", "kid", "kid_floor", ""),
    ("precision", "precision", "", ""),
    ("recall", "recall", "", ""),
    ("density", "density", "", ""),
    ("coverage", "coverage", "coverage_floor", ""),
)
SHOWN = 3  # values of a trait that has many, drawn on the card
SEED = "Kao"


@router.get("/{name}/card")
def page(request: Request, name: str) -> Response:
    """Everybody's who may see its faces."""
    held: Services = request.app.state.services
    row = held.registry.get(name)
    card = Card.model_validate(row["card"])
    measures: dict[str, Any] = card.evaluation.measures if card.evaluation else {}
    served: dict[str, Any] = card.evaluation.served if card.evaluation else {}
    return render(
        request,
        "card.html",
        "card",
        version=row["version"],
        card=card,
        measures=measures,
        tables=[
            (each.get("size", card.network.resolution), _rows(each))
            for each in ([served] if served else []) + ([measures] if measures else [])
            if each is served or served.get("size") != card.network.resolution
        ],
        traits=[(each, _tried(each)) for each in traits.trait_parameters(card).values()],
        seed=SEED,
    )


def _rows(measures: dict[str, Any]) -> list[tuple[Any, ...]]:
    """(name, value, a perfect model's, blurred real images') of each measure that is there."""
    return [
        (name, *(measures.get(key) for key in keys)) for name, *keys in ROWS if keys[0] in measures
    ]


def _tried(parameter: Parameter) -> list[str]:
    """A few of its values, from one end to the other."""
    values = parameter.schema.get("enum")
    if values is None:
        return [f"{parameter.schema['minimum']:g}", "0", f"{parameter.schema['maximum']:g}"]
    return list(values)[:: max(1, len(values) // SHOWN)][:SHOWN]
