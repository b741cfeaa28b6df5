"""The pictures of a model's card: what it draws, what it drew nearest to, how it learned."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from starlette.exceptions import HTTPException

from app import charts
from app.auth.scopes import needs
from app.charts import Theme
from app.http.query_string import Only
from app.state import Services, services
from models.bundle.format import NEAREST, Card

router = APIRouter(prefix="/models", tags=["models"], dependencies=[needs("avatars")])
Held = Annotated[Services, Depends(services)]

# A name may come to mean another version.
CACHING = "public, max-age=300"
PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}
SVG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/svg+xml": {}}}}


@router.get(
    "/{name}/{picture}.png",
    dependencies=[Depends(Only())],
    response_class=Response,
    responses={**PNG, 404: {"description": "There is no such model, or it was not evaluated."}},
    summary="Its sheet of samples, or its faces nearest to training images",
)
def picture(held: Held, name: str, picture: Literal["samples", "nearest"]) -> Response:
    """As files of the bundle; `nearest` has each face above the training image nearest to it."""
    version = held.registry.resolve(name)
    path = held.registry.fetch(version) / f"{picture}.png"
    if path.name == NEAREST and not path.exists():
        raise HTTPException(404, "This model was not evaluated: `kao evaluate --keep` does that.")
    headers = {"Cache-Control": CACHING, "X-Content-Type-Options": "nosniff"}
    return Response(path.read_bytes(), headers=headers, media_type="image/png")


@router.get(
    "/{name}/curve.svg",
    dependencies=[Depends(Only("theme"))],
    response_class=Response,
    responses={**SVG, 404: {"description": "There is no such model, or no curve on its card."}},
    summary="FD-Lite0 while it trained, drawn",
)
def curve(held: Held, name: str, theme: Theme = "light") -> Response:
    """Over the images that it saw."""
    points = Card.model_validate(held.registry.get(name)["card"]).curve
    if len(points) < 2:
        raise HTTPException(404, "This model's run did not measure itself: see `measure_every`.")
    chart = charts.chart(theme, 640, 240)
    chart.add("FD-Lite0", points, stroke_style={"width": 2})
    return charts.answer(chart, CACHING)
