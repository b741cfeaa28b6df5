"""ETags and Cache-Control, row by row."""

import pytest

from app.http import cache_headers
from app.http.cache_headers import IMMUTABLE, MUTABLE, NOT_STORED


@pytest.mark.parametrize(
    ("if_none_match", "is_match"),
    [
        pytest.param(['W/"a"'], True, id="equal"),
        pytest.param(['"a"'], True, id="a-strong-one"),
        pytest.param(["*"], True, id="any"),
        pytest.param(['"b", W/"a"'], True, id="in-a-list"),
        pytest.param(['"b"', '"a"'], True, id="in-the-second-header"),
        pytest.param(['W/"b"'], False, id="another"),
        pytest.param(["a"], False, id="without-quotes"),
        pytest.param([], False, id="none"),
        pytest.param([""], False, id="empty"),
    ],
)
def test_if_none_match_is_compared_weakly(if_none_match: list[str], is_match: bool) -> None:
    assert cache_headers.matches(if_none_match, 'W/"a"') == is_match


def test_each_part_of_an_etag_changes_it() -> None:
    etags = {
        cache_headers.make_etag("v", 1, "/avatar?seed=a"),
        cache_headers.make_etag("w", 1, "/avatar?seed=a"),
        cache_headers.make_etag("v", 2, "/avatar?seed=a"),
        cache_headers.make_etag("v", 1, "/avatar?seed=b"),
    }
    assert len(etags) == 4
    assert all(etag.startswith('W/"') and etag.endswith('"') for etag in etags)


@pytest.mark.parametrize(
    ("etag", "is_pinned", "is_negotiated", "headers"),
    [
        ('W/"a"', True, False, {"Cache-Control": IMMUTABLE, "ETag": 'W/"a"'}),
        ('W/"a"', False, False, {"Cache-Control": MUTABLE, "ETag": 'W/"a"'}),
        ('W/"a"', False, True, {"Cache-Control": MUTABLE, "ETag": 'W/"a"', "Vary": "Accept"}),
        (None, True, False, {"Cache-Control": NOT_STORED}),
        (None, False, True, {"Cache-Control": NOT_STORED, "Vary": "Accept"}),
    ],
)
def test_only_repeatable_pictures_of_a_full_version_are_immutable(
    etag: str | None, is_pinned: bool, is_negotiated: bool, headers: dict[str, str]
) -> None:
    assert (
        cache_headers.cache_headers(etag, is_pinned=is_pinned, is_negotiated=is_negotiated)
        == headers
    )
