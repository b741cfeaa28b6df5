"""Which coding a client gets, and that each gives the same bytes."""

import gzip

import brotli
import pytest

from app.http.content_encoding import choose_coding, encode_content

CONTENT = b"a face, " * 100


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("identity", None, id="identity"),
        pytest.param("deflate, zstd", None, id="others"),
        pytest.param("gzip", "gzip", id="gzip"),
        pytest.param("gzip, deflate, br, zstd", "br", id="a-browser"),
        pytest.param("GZIP", "gzip", id="upper-case"),
        pytest.param("*", "br", id="any"),
        pytest.param("br;q=0, *", "gzip", id="any-but-brotli"),
        pytest.param("br;q=0.5, gzip;q=0.8", "gzip", id="gzip-is-liked-more"),
        pytest.param("br;q=0, gzip;q=0", None, id="neither"),
        pytest.param("gzip;q=0.5, identity", None, id="identity-is-liked-more"),
        pytest.param("brotli, x-gzip", None, id="names-that-contain-them"),
        pytest.param("br;q=nan, gzip;q=none", None, id="no-numbers"),
    ],
)
def test_the_coding_follows_the_header(header: str, coding: str | None) -> None:
    assert choose_coding(header) == coding
    body, headers = encode_content(CONTENT, 9).choose(header)
    assert headers.get("Content-Encoding") == coding
    assert headers["Vary"] == "Accept-Encoding"
    decode = {None: bytes, "gzip": gzip.decompress, "br": brotli.decompress}[coding]
    assert decode(body) == CONTENT
