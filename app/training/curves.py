"""The curves of a run over its training, as numbers or as an SVG chart."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from app import charts
from app.auth.scopes import needs
from app.errors import InvalidParameter
from app.http.query_string import Only
from app.state import AppState, State
from models import runs

router = APIRouter(prefix="/train", tags=["training"], dependencies=[needs("read")])
Event = dict[str, Any]
CurveName = Literal["losses", "fd", "speed"]

PROGRESS, MEASUREMENT = "run.progress", "run.measured"
# The type of the events that a curve is drawn from, and the fields of theirs that it shows.
CURVES: dict[CurveName, tuple[str, tuple[str, ...]]] = {
    "losses": (PROGRESS, ("g_loss", "d_loss")),
    "fd": (MEASUREMENT, ("fd",)),
    "speed": (PROGRESS, ("images_per_second",)),
}
MAX_RUNS = 4  # of a chart; readers cannot distinguish more lines
CHART_POINTS = 240  # of a line of a chart: it has no pixels for more
MAX_POINTS = 400  # of a curve as numbers


class Curve(BaseModel):
    """One chart: every point has the number of images seen, then one value for each name."""

    names: list[str] = Field(examples=[["g_loss", "d_loss"]])
    points: list[list[float]] = Field(examples=[[[80, 1.2, 0.7], [160, 1.1, 0.7]]])


class Measurements(BaseModel):
    """All curves of a run by name; a curve without a point was not measured yet."""

    run: str
    curves: dict[str, Curve]


@router.get(
    "/{run}/curves", dependencies=[Depends(Only())], summary="A run's measurements as numbers"
)
def measurements(state: State, run: str, response: Response) -> Measurements:
    """Losses, FD-Lite0 and images per second over the images seen, thinned to 400 points."""
    response.headers["Cache-Control"] = "no-store"
    events = {kind: _events(state, run, kind) for kind in (PROGRESS, MEASUREMENT)}
    return Measurements(
        run=run,
        curves={
            name: Curve(names=list(fields), points=_points(events[kind], fields))
            for name, (kind, fields) in CURVES.items()
        },
    )


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
    lines = {name: _lines(state, name, of) for name in names}
    if not any(line for run_lines in lines.values() for line in run_lines):
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    lines_per_colour = len(CURVES[of][1]) if len(names) > 1 else 1
    chart = charts.chart(theme, width, height, lines_per_colour)
    for name in names:
        for index, line in enumerate(lines[name]):
            dashes = {"dasharray": "6, 4"} if index else {}
            chart.add(name, line, stroke_style={"width": 2, **dashes})
    return charts.response(chart, "no-store")


def _events(state: AppState, run: str, kind: str) -> list[Event]:
    return in_order(kind, runs.events_of_type(state.database, run, kind))


def _points(events: list[Event], fields: tuple[str, ...]) -> list[list[float]]:
    """At most MAX_POINTS of the events, the last one always among them."""
    complete = [event for event in events if all(name in event for name in fields)]
    rows = thin(complete, MAX_POINTS)
    return [[event["images"], *(event[name] for name in fields)] for event in rows]


def _lines(state: AppState, run: str, of: CurveName) -> list[list[tuple[float, float]]]:
    """The points of each line of a run's chart."""
    kind, fields = CURVES[of]
    events = thin(_events(state, run, kind), CHART_POINTS)
    return [
        [(event["images"], event[name]) for event in events if name in event] for name in fields
    ]


def in_order(kind: str, events: list[Event]) -> list[Event]:
    """The events of one kind, without those that would make a curve go back in images seen.

    After a rollback the curves of progress continue from the restored snapshot, so the events of
    the steps after it are left out. A measurement at as many images as an earlier one, or fewer, is
    left out itself: it repeats one from before a rollback, or measures the published student.
    """
    rows: list[Event] = []
    for event in events:
        if kind == MEASUREMENT and rows and event["images"] <= rows[-1]["images"]:
            continue
        while rows and event["images"] <= rows[-1]["images"]:
            rows.pop()
        rows.append(event)
    return rows


def thin(events: list[Event], most: int) -> list[Event]:
    """At most so many of the events at equal distances, the last one always among them."""
    step = max(1, -(-len(events) // (most - 1)))
    return [*events[:-1:step], *events[-1:]]
