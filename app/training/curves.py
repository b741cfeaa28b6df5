"""A run's curves as SVG, drawn here, so that a page shows them as pictures; several to compare."""

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response

from app import charts
from app.auth.scopes import needs
from app.errors import InvalidParameter
from app.http.query_string import Only
from app.state import Services, services
from models import runs

router = APIRouter(prefix="/train", tags=["training"], dependencies=[needs("read")])
Held = Annotated[Services, Depends(services)]
Kind = Literal["losses", "fd", "speed"]
Point = tuple[float, float]

KINDS: dict[Kind, tuple[str, tuple[str, ...]]] = {
    "losses": ("run.progress", ("g_loss", "d_loss")),
    "fd": ("run.measured", ("fd",)),
    "speed": ("run.progress", ("images_per_second",)),
}
MOST_RUNS = 4  # beside each other; more lines nobody tells apart
MOST_POINTS = 240  # of a line: more than its pixels show nothing


@router.get(
    "/{run}/curves.svg",
    dependencies=[Depends(Only("of", "beside", "theme", "width", "height"))],
    response_class=Response,
    responses={
        200: {"content": {"image/svg+xml": {}}},
        204: {"description": "Nothing of it was measured yet."},
    },
    summary="A run's curves, drawn",
)
def curves(
    held: Held,
    run: str,
    of: Annotated[Kind, Query(description="What is drawn over the images seen.")] = "losses",
    beside: Annotated[
        str | None, Query(description="Up to three other runs, with commas between them.")
    ] = None,
    theme: Annotated[Literal["light", "dark"], Query()] = "light",
    width: Annotated[int, Query(ge=200, le=1600)] = 640,
    height: Annotated[int, Query(ge=120, le=900)] = 240,
) -> Response:
    """Losses (the discriminator's is dashed), FD-Lite0, or images a second; a colour a run."""
    names = [run, *(beside.split(",") if beside else [])]
    if len(names) > MOST_RUNS:
        raise InvalidParameter("beside", "names too many runs", f"up to {MOST_RUNS - 1}")
    lines = {name: list(_lines(held, name, of)) for name in names}
    if not any(line for each in lines.values() for line in each):
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    chart = charts.chart(theme, width, height, each=len(KINDS[of][1]) if len(names) > 1 else 1)
    for name in names:
        for dashed, line in enumerate(lines[name]):
            dashes = {"dasharray": "6, 4"} if dashed else {}
            chart.add(name, line, stroke_style={"width": 2, **dashes})
    return charts.answer(chart, "no-store")


def _lines(held: Services, run: str, of: Kind) -> Iterator[list[Point]]:
    type, values = KINDS[of]
    found = runs.events_of_type(held.database, run, type)
    step = max(1, -(-len(found) // MOST_POINTS))
    thinned = [*found[:-1:step], *found[-1:]]
    for value in values:
        yield [(each["images"], each[value]) for each in thinned if value in each]
