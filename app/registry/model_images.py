"""The pictures of a model's card: samples, nearest training images, the curve of its FD."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException

from app import charts
from app.auth.scopes import needs
from app.charts import Theme
from app.headers import NO_SNIFF
from app.http import cache_headers
from app.http.query_string import Only
from app.state import State
from models.bundle.format import Card

router = APIRouter(prefix="/models", tags=["models"], dependencies=[needs("avatars")])

PICTURES = frozenset({"samples", "nearest"})
CACHING = "public, max-age=300"  # an alias may move to another version
PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}
SVG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/svg+xml": {}}}}


@router.get(
    "/{name}/{picture}.png",
    dependencies=[Depends(Only())],
    response_class=Response,
    responses={**PNG, 404: {"description": "The model does not exist, or was not evaluated."}},
    summary="The samples of a model, or its faces nearest to training images",
)
def image(request: Request, state: State, name: str, picture: str) -> Response:
    """`samples`, or `nearest`: each face above the nearest training image."""
    if picture not in PICTURES:
        raise HTTPException(404)
    row = state.registry.get(name)
    version = row["version"]
    content = state.registry.files.read(version, f"{picture}.png")
    if content is None:
        raise HTTPException(404, "This model was not evaluated: `kao evaluate --keep` does that.")
    headers = {
        "Cache-Control": CACHING,
        "Cross-Origin-Resource-Policy": "cross-origin",
        **cache_headers.version_headers(version, row["published"]),
        **NO_SNIFF,
    }
    if cache_headers.is_unchanged(request.headers, headers):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="image/png")


@router.get(
    "/{name}/curve.svg",
    dependencies=[Depends(Only("theme"))],
    response_class=Response,
    responses={
        **SVG,
        404: {"description": "The model does not exist, or has no curve on its card."},
    },
    summary="Chart of a model's FD-Lite0 during training",
)
def curve(state: State, name: str, theme: Theme = "light") -> Response:
    """Over the number of images seen."""
    points = Card.model_validate(state.registry.get(name)["card"]).curve
    if len(points) < 2:
        raise HTTPException(404, "This model's run did not measure itself: see `measure_every`.")
    chart = charts.chart(theme, 440, 220)
    chart.add("FD-Lite0", points, stroke_style={"width": 2})
    return charts.response(chart, CACHING)
