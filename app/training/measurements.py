"""A run's measurements over its training as numbers, for pages and programs that plot them."""

from typing import Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from app.auth.scopes import needs
from app.http.query_string import Only
from app.state import State
from app.training.curve_table import CURVES, MEASUREMENT, PROGRESS, in_order, thin
from models import runs

router = APIRouter(prefix="/train", tags=["training"], dependencies=[needs("read")])

MAX_POINTS = 400  # per line: more than a chart has pixels to show


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
    kinds = (PROGRESS, MEASUREMENT)
    events = {
        kind: in_order(kind, runs.events_of_type(state.database, run, kind)) for kind in kinds
    }
    return Measurements(
        run=run,
        curves={
            name: Curve(names=list(fields), points=_points(events[kind], fields))
            for name, (kind, fields) in CURVES.items()
        },
    )


def _points(events: list[dict[str, Any]], fields: tuple[str, ...]) -> list[list[float]]:
    """At most MAX_POINTS of the events, the last one always among them."""
    complete = [event for event in events if all(name in event for name in fields)]
    rows = thin(complete, MAX_POINTS)
    return [[event["images"], *(event[name] for name in fields)] for event in rows]
