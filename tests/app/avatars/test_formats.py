"""The Accept header chooses the format."""

import pytest

from app.avatars.formats import STILL, negotiate


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        (None, "png"),
        ("*/*", "png"),
        ("text/html", "png"),
        ("image/webp", "webp"),
        ("image/jpeg, image/png", "png"),
        ("image/avif,image/webp,image/apng,image/*,*/*;q=0.8", "webp"),
        ("image/webp;q=0.5, image/jpeg;q=0.9", "jpeg"),
        ("image/png;q=0, */*", "webp"),
        ("image/webp;q=rubbish, image/*;q=0.1", "png"),
        (",;,q=", "png"),
    ],
)
def test_accept_chooses_what_it_prefers(accept: str | None, format: str) -> None:
    assert negotiate(accept, STILL) == format
