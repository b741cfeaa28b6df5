"""No curve of a run goes back, whatever its events do."""

import pytest

from app.training.curves import MEASUREMENT, PROGRESS, in_order, thin


@pytest.mark.parametrize(
    ("kind", "images", "kept"),
    [
        pytest.param(PROGRESS, [10, 20, 30], [0, 1, 2], id="training"),
        pytest.param(PROGRESS, [10, 20, 30, 15, 25], [0, 3, 4], id="a rollback"),
        pytest.param(PROGRESS, [10, 20, 20], [0, 2], id="a last report"),
        pytest.param(MEASUREMENT, [10, 20, 30, 20], [0, 1, 2], id="the student after the best"),
        pytest.param(MEASUREMENT, [10, 20, 10, 20, 30], [0, 1, 4], id="a rollback measured again"),
        pytest.param(MEASUREMENT, [], [], id="nothing yet"),
    ],
)
def test_a_curve_has_more_and_more_images(kind: str, images: list[int], kept: list[int]) -> None:
    events = [{"images": count, "number": number} for number, count in enumerate(images)]
    assert [event["number"] for event in in_order(kind, events)] == kept


def test_a_thinned_curve_has_its_last_point() -> None:
    events = [{"images": number} for number in range(1000)]
    sample = thin(events, 100)
    assert len(sample) <= 100
    assert (sample[0], sample[-1]) == (events[0], events[-1])
