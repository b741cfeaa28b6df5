"""Which events and fields the curves of a run are drawn from."""

from typing import Any, Literal

CurveName = Literal["losses", "fd", "speed"]

PROGRESS, MEASUREMENT = "run.progress", "run.measured"
# The type of the events that a curve is drawn from, and the fields of theirs that it shows.
CURVES: dict[CurveName, tuple[str, tuple[str, ...]]] = {
    "losses": (PROGRESS, ("g_loss", "d_loss")),
    "fd": (MEASUREMENT, ("fd",)),
    "speed": (PROGRESS, ("images_per_second",)),
}


def thin(events: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """At most so many of the events at equal distances, the last one always among them."""
    step = max(1, -(-len(events) // (most - 1)))
    return [*events[:-1:step], *events[-1:]]
