"""The words of the pages in every language, and the colours of traits that have one."""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from starlette.requests import Request

from app.http.accept import parse_qualities

FOLDER = Path(__file__).parent / "locales"
SWATCHES = "swatches.json"
LANGUAGES = {"en": "English", "zh": "中文"}
COOKIE = "kao_lang"


@cache
def words(language: str) -> dict[str, str]:
    """All words of one language by key.

    A file `NAME.json` has each key in every language, a file `NAME.LANGUAGE.json` in one.
    """
    table: dict[str, str] = {}
    for path in sorted(FOLDER.glob("*.json")):
        if path.name == SWATCHES:
            continue
        words_of_file = json.loads(path.read_text(encoding="utf-8"))
        _, dot, only = path.stem.partition(".")
        if not dot:
            table |= {key: texts[language] for key, texts in words_of_file.items()}
        elif only == language:
            table |= words_of_file
    return table


@cache
def swatches() -> dict[str, dict[str, str]]:
    """The colours (RRGGBB) of the starter set's traits, by trait and value."""
    colours: dict[str, dict[str, str]] = json.loads((FOLDER / SWATCHES).read_text())
    return colours


def language_of(request: Request) -> str:
    """`?lang=`, else the cookie, else what the browser prefers, else English."""
    explicit = (request.query_params.get("lang"), request.cookies.get(COOKIE))
    browser_languages = _browser_languages(request.headers.get("accept-language", ""))
    for language in (*explicit, *browser_languages):
        if language in LANGUAGES:
            return language
    return next(iter(LANGUAGES))


def with_prefixes(language: str, prefixes: Iterable[str]) -> dict[str, str]:
    """The words whose keys begin with one of these prefixes and a dot."""
    starts = tuple(f"{prefix}." for prefix in prefixes)
    return {key: text for key, text in words(language).items() if key.startswith(starts)}


def _browser_languages(header: str) -> list[str]:
    """The languages of an Accept-Language, regions left out, the best first (RFC 9110 §12.5.4)."""
    ranges = sorted(parse_qualities(header), key=lambda pair: -pair[1])
    return [tag.partition("-")[0] for tag, quality in ranges if quality]
