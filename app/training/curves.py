"""The curves of one or several runs as an SVG chart."""

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response

from app import charts
from app.auth.scopes import needs
from app.errors import InvalidParameter
from app.http.query_string import Only
from app.state import AppState, State
from app.training.curve_table import CURVES, CurveName, in_order, thin
from models import runs

router = APIRouter(prefix="/train", tags=["training"], dependencies=[needs("read")])
Point = tuple[float, float]

MAX_RUNS = 4  # readers cannot distinguish more lines
MAX_POINTS = 240  # per line: the chart has no pixels for more


@router.get(
    "/{run}/curves.svg",
    dependencies=[Depends(Only("of", "beside", "theme", "width", "height"))],
    response_class=Response,
    responses={
        200: {"content": {"image/svg+xml": {}}},
        204: {"description": "Nothing was measured yet."},
    },
    summary="Chart of a run's curves",
)
def curves(
    state: State,
    run: str,
    of: Annotated[
        CurveName, Query(description="The measure to plot over the number of images seen.")
    ] = "losses",
    beside: Annotated[
        str | None, Query(description="Up to three other runs, comma-separated.")
    ] = None,
    theme: Annotated[Literal["light", "dark"], Query()] = "light",
    width: Annotated[int, Query(ge=200, le=1600)] = 640,
    height: Annotated[int, Query(ge=120, le=900)] = 240,
) -> Response:
    """Losses (the discriminator's dashed), FD-Lite0, or images per second; one colour per run."""
    names = [run, *(beside.split(",") if beside else [])]
    if len(names) > MAX_RUNS:
        raise InvalidParameter("beside", "names too many runs", f"up to {MAX_RUNS - 1}")
    lines = {name: list(_lines(state, name, of)) for name in names}
    if not any(line for run_lines in lines.values() for line in run_lines):
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    lines_per_colour = len(CURVES[of][1]) if len(names) > 1 else 1
    chart = charts.chart(theme, width, height, lines_per_colour)
    for name in names:
        for index, line in enumerate(lines[name]):
            dashes = {"dasharray": "6, 4"} if index else {}
            chart.add(name, line, stroke_style={"width": 2, **dashes})
    return charts.response(chart, "no-store")


def _lines(state: AppState, run: str, of: CurveName) -> Iterator[list[Point]]:
    type, values = CURVES[of]
    sample = thin(in_order(type, runs.events_of_type(state.database, run, type)), MAX_POINTS)
    for value in values:
        yield [(event["images"], event[value]) for event in sample if value in event]
