"""The words of the pages, in the languages that there are."""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from starlette.requests import Request

FOLDER = Path(__file__).parent / "locales"
LANGUAGES = {"en": "English", "zh": "中文"}
COOKIE = "kao_lang"


@cache
def words(language: str) -> dict[str, str]:
    """All words of one language by key, from every file of it."""
    found: dict[str, str] = {}
    for path in sorted(FOLDER.glob(f"*{language}.json")):
        if path.stem == language or path.stem.endswith(f".{language}"):
            found |= json.loads(path.read_text(encoding="utf-8"))
    return found


def chosen(request: Request) -> str:
    """`?lang=`, else the cookie, else what the browser prefers, else English."""
    asked = (request.query_params.get("lang"), request.cookies.get(COOKIE))
    for language in (*asked, *_preferred(request.headers.get("accept-language", ""))):
        if language in LANGUAGES:
            return language
    return next(iter(LANGUAGES))


def of_pages(language: str, pages: Iterable[str]) -> dict[str, str]:
    """The words whose keys begin with one of these names and a dot: what a script needs."""
    wanted = tuple(f"{page}." for page in pages)
    return {key: text for key, text in words(language).items() if key.startswith(wanted)}


def _preferred(header: str) -> list[str]:
    """The languages of an Accept-Language, regions left out, the best first (RFC 9110 §12.5.4)."""
    weighted = []
    for item in header.split(","):
        tag, _, weight = item.partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            continue
        weighted.append((-quality, tag.strip().lower().partition("-")[0]))
    return [tag for quality, tag in sorted(weighted, key=lambda pair: pair[0]) if quality]
