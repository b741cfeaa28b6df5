"""Content-Encoding of what is compressed once and sent often: brotli, gzip or neither."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import brotli

from app.http.accept import parse_qualities

# Smallest first: of two with equal quality the first is chosen.
CODINGS = ("br", "gzip")


@dataclass(frozen=True)
class EncodedContent:
    """Bytes as they are, and under each coding."""

    plain: bytes
    by_coding: Mapping[str, bytes]

    def choose(self, accept_encoding: str) -> tuple[bytes, dict[str, str]]:
        """The bytes for a client with this Accept-Encoding, and their headers."""
        coding = choose_coding(accept_encoding)
        headers = {"Vary": "Accept-Encoding"}
        if coding is None:
            return self.plain, headers
        return self.by_coding[coding], {**headers, "Content-Encoding": coding}


def encode_content(plain: bytes, quality: int) -> EncodedContent:
    """Compress once for each coding. quality: brotli's, 0 to 11."""
    # wbits 31: as gzip, without a time in its header.
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    by_coding = {
        "br": brotli.compress(plain, quality=quality),
        "gzip": compressor.compress(plain) + compressor.flush(),
    }
    return EncodedContent(plain, by_coding)


def choose_coding(accept_encoding: str, codings: Sequence[str] = CODINGS) -> str | None:
    """The one of `codings` that a client prefers (RFC 9110 §12.5.3); None for none.

    A coding with quality 0, or one that is neither listed nor covered by `*`, is not chosen; nor is
    one that the client prefers less than `identity`.
    """
    qualities = dict(parse_qualities(accept_encoding))
    quality = {coding: qualities.get(coding, qualities.get("*", 0.0)) for coding in codings}
    best = max(codings, key=lambda coding: quality[coding])
    return best if quality[best] > 0 and quality[best] >= qualities.get("identity", 0.0) else None
