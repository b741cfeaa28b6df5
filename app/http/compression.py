"""Compresses text: pages, JSON, SVG; pictures in other formats are compressed already."""

from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.types import ASGIApp

LEVEL = 5  # 9 takes twice as long for 1 % of an SVG
# Beside Starlette's list: base64 of pictures, and what is sent piece by piece while it is made.
EXCLUDED = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "image/apng", "application/x-ndjson")


class Compression(GZipMiddleware):
    """gzip for clients that accept it, from half a kilobyte on."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, compresslevel=LEVEL, exclude_content_types=EXCLUDED)
