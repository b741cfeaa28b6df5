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


def in_order(kind: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events of one kind with more and more images seen, so that no curve goes back.

    Steps that a rollback gives up leave the curves of progress. A measurement that goes back is of
    such steps repeated, or of the model to be published after its lessons, which are no part of the
    training: it leaves itself.
    """
    rows: list[dict[str, Any]] = []
    for event in events:
        if kind == MEASUREMENT and rows and event["images"] <= rows[-1]["images"]:
            continue
        while rows and event["images"] <= rows[-1]["images"]:
            rows.pop()
        rows.append(event)
    return rows


def thin(events: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """At most so many of the events at equal distances, the last one always among them."""
    step = max(1, -(-len(events) // (most - 1)))
    return [*events[:-1:step], *events[-1:]]
