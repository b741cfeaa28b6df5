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
    """The events of one kind, without those that would make a curve go back in images seen.

    After a rollback the curves of progress continue from the restored snapshot, so the events of
    the steps after it are left out. A measurement at as many images as an earlier one, or fewer, is
    left out itself: it repeats one from before a rollback, or measures the published student.
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
