"""A model's card as a page: the content of `GET /models/{name}` for people."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from app.auth.scopes import needs
from app.avatars import traits
from app.avatars.request.parameters import Parameter
from app.http.query_string import Only
from app.state import get_state
from app.studio.pages import render
from app.studio.playground import SEED
from models.bundle.format import Card

router = APIRouter(
    prefix="/models",
    include_in_schema=False,
    dependencies=[needs("avatars"), Depends(Only("lang"))],
)
# Of each measure: the fields with its value, a perfect model's, and that of blurred real images.
ROWS = (
    ("FD-Lite0", "fd", "fd_floor", "fd_blur2"),
    ("FD-Own", "fd_own", "fd_own_floor", ""),
    ("KID-Lite0", "kid", "kid_floor", ""),
    ("precision", "precision", "", ""),
    ("recall", "recall", "", ""),
    ("density", "density", "", ""),
    ("coverage", "coverage", "coverage_floor", ""),
)


@router.get("/{name}/card")
def page(request: Request, name: str) -> Response:
    """Show the card to every client that may see the model's faces."""
    state = get_state(request)
    row = state.registry.get(name)
    card = Card.model_validate(row["card"])
    measures: dict[str, Any] = card.evaluation.measures if card.evaluation else {}
    return render(
        request,
        "card.html",
        "card",
        version=row["version"],
        name=row["name"],
        card=card,
        measures=measures,
        tables=_tables(card),
        own_measures=_rows(card.measures or {}),
        traits=[(trait, _examples(trait)) for trait in traits.trait_parameters(card).values()],
        seed=SEED,
        base=str(request.base_url),
    )


def _tables(card: Card) -> list[tuple[int, list[tuple[Any, ...]]]]:
    """(pixels, rows): measured as served, then at the network's resolution where that differs."""
    if card.evaluation is None:
        return []
    served: dict[str, Any] = card.evaluation.served
    resolution, tables = card.network.resolution, [served] if served else []
    if card.evaluation.measures and served.get("size") != resolution:
        tables.append(card.evaluation.measures)
    return [(int(table.get("size", resolution)), _rows(table)) for table in tables]


def _rows(measures: dict[str, Any]) -> list[tuple[Any, ...]]:
    """(name, value, a perfect model's, blurred real images') of each measure on the card."""
    return [
        (name, *(measures.get(key) for key in keys)) for name, *keys in ROWS if keys[0] in measures
    ]


def _examples(trait: Parameter) -> list[str]:
    """Return all values of a trait, or both ends and the middle of a slider."""
    values = trait.schema.get("enum")
    if values is None:
        return [f"{trait.schema['minimum']:g}", "0", f"{trait.schema['maximum']:g}"]
    return list(values)
