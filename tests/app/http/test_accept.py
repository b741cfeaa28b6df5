"""Quality values are parsed as RFC 9110 §12.4.2 says, and nonsense is never preferred."""

import pytest

from app.http.accept import parse_qualities


@pytest.mark.parametrize(
    ("header", "qualities"),
    [
        pytest.param("a", [("a", 1.0)], id="no-quality"),
        pytest.param("A;q=0.5, b", [("a", 0.5), ("b", 1.0)], id="in-the-headers-order"),
        pytest.param("a ; level=1 ; q=0.2", [("a", 0.2)], id="other-parameters"),
        pytest.param("a;q=0", [("a", 0.0)], id="refused"),
        pytest.param("a;q=much", [("a", 0.0)], id="not-a-number"),
        pytest.param("a;q=nan, b;q=inf", [("a", 0.0), ("b", 0.0)], id="not-finite"),
        pytest.param("a; q = 0.5", [("a", 0.5)], id="spaces"),
        pytest.param("a;q=-1, b;q=1.5", [("a", 0.0), ("b", 1.0)], id="out-of-range"),
        pytest.param("a;q=, b;Q=0.1", [("a", 0.0), ("b", 0.1)], id="empty-and-upper-case"),
        pytest.param("", [("", 1.0)], id="empty"),
    ],
)
def test_each_item_has_its_quality(header: str, qualities: list[tuple[str, float]]) -> None:
    assert parse_qualities(header) == qualities
