"""When a run draws its sheets: early, at doublings, then at the recipe's interval."""

import pytest

from worker.training.schedules import FIRST_SHEET, sheet_is_due

LATE = FIRST_SHEET + 60


def sheets(every: int, batch: int, images: int, rate: float) -> list[int]:
    """The images seen at each sheet of a run at `rate` images per second."""
    last, moments = 0, []
    for images_seen in range(batch, images + 1, batch):
        if sheet_is_due(images_seen, images_seen - batch, every, last, images_seen / rate):
            last = images_seen
            moments.append(images_seen)
    return moments


def test_the_first_sheet_comes_within_ten_seconds_and_the_next_at_doublings() -> None:
    moments = sheets(every=5000, batch=32, images=12_000, rate=30.0)
    assert moments[0] / 30 <= 10
    assert moments == [160, 320, 640, 1280, 2560, 5024, 10016]


def test_a_fast_run_draws_at_its_interval_alone() -> None:
    assert sheets(every=80, batch=8, images=320, rate=200.0) == [80, 160, 240, 320]


@pytest.mark.parametrize(
    ("images", "last", "seconds", "due"),
    [
        pytest.param(32, 0, 1.0, False, id="too early"),
        pytest.param(32, 0, LATE, True, id="slow machine"),
        pytest.param(600, 320, LATE, False, id="not yet doubled"),
        pytest.param(640, 320, LATE, True, id="doubled"),
        pytest.param(6400, 100, LATE, False, id="after the first interval"),
    ],
)
def test_a_sheet_is_due(images: int, last: int, seconds: float, due: bool) -> None:
    assert sheet_is_due(images, images - 32, 5000, last, seconds) is due
