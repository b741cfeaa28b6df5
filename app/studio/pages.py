"""Pages over HTTP: rendering with words and headers, the assets, the page of the API docs."""

import re
from collections.abc import Iterable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.templating import Jinja2Templates

from app.headers import NO_SNIFF
from app.http.cache_headers import IMMUTABLE
from app.http.path_prefix import root_of
from app.studio import sentences, translations
from app.studio.assets import assets, digest

router = APIRouter(include_in_schema=False)
TEMPLATES = Path(__file__).parent / "templates"
THEMES = ("light", "dark")
THEME_COOKIE = "kao_theme"
DAY = "public, max-age=86400"
NOT_CRAWLED = ("/studio", "/train", "/datasets", "/keys", "/avatar", "/sheet")
_CODE = re.compile("`([^`]+)`")
YEAR = 365 * 24 * 3600  # s
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    **NO_SNIFF,
    "Referrer-Policy": "same-origin",
    # A page depends on the reader's language and theme.
    "Cache-Control": "private, no-cache",
    "Vary": "Cookie, Accept-Language",
}


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Show OpenAPI in Swagger UI, loaded from this server alone."""
    return render(request, "docs.html", "docs")


@router.get("/favicon.ico")
async def favicon() -> Response:
    """Send the icon to browsers that ask for it without reading a page."""
    answer = _response("icon-180.png", "")
    answer.headers["Cache-Control"] = DAY  # the address has no digest
    return answer


@router.get("/robots.txt")
async def robots() -> Response:
    """Keep crawlers from what needs a key, and from pictures that have no end.

    `/og` is open to them: what shows links asks for a page's card by these rules.
    """
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in NOT_CRAWLED)]
    return PlainTextResponse("\n".join(lines) + "\n", headers={"Cache-Control": DAY})


@router.get("/manifest.webmanifest")
async def manifest(request: Request) -> Response:
    """Describe the playground to browsers that install it as an app."""
    root = root_of(request)
    icons = [
        {"src": f"{root}/assets/{digest()}/{name}", "sizes": sizes, "type": media}
        for name, sizes, media in (
            ("icon.svg", "any", "image/svg+xml"),
            ("icon-180.png", "180x180", "image/png"),
            ("icon-512.png", "512x512", "image/png"),
        )
    ]
    content = {
        "name": "Kao",
        "short_name": "Kao",
        "start_url": f"{root}/",
        "scope": f"{root}/",
        "display": "minimal-ui",
        "background_color": "#fbfaf7",
        "theme_color": "#fbfaf7",
        "icons": icons,
    }
    headers = {"Cache-Control": DAY}
    return JSONResponse(content, headers=headers, media_type="application/manifest+json")


@router.get("/assets/{version}/{name:path}")
async def asset(request: Request, version: str, name: str) -> Response:
    """Send one file of the pages; 404 for any version but the current one."""
    if name not in assets() or version != digest():
        raise HTTPException(404)
    return _response(name, request.headers.get("accept-encoding", ""))


def _response(name: str, accept_encoding: str) -> Response:
    asset = assets()[name]
    body, headers = asset.content.choose(accept_encoding)
    headers |= {"Cache-Control": IMMUTABLE, **NO_SNIFF}
    return Response(body, headers=headers, media_type=asset.media)


def render(
    request: Request,
    template: str,
    page: str,
    status: int = 200,
    more_words: Iterable[str] = (),
    **context: Any,
) -> Response:
    """Render a page in the reader's language and theme.

    A key without a translation shows itself: a missing word is no reason for a 500, and the tests
    find it.

    page: its place in the navigation. Its scripts get the words whose keys begin with `common.`,
    with `page` and a dot, or with one of `more_words` and a dot.
    """
    language = translations.language_of(request)
    words = translations.words(language)
    root = root_of(request)
    theme = request.cookies.get(THEME_COOKIE)
    common = {
        "page": page,
        "lang": language,
        "languages": translations.LANGUAGES,
        "theme": theme if theme in THEMES else "auto",
        "root": root,
        "t": partial(_translate, words),
        "translated": words.get,
        "sentence": partial(_mark_up_sentence, language),
        "asset": lambda name: f"{root}/assets/{digest()}/{name}",
        "script_words": translations.with_prefixes(language, ("common", page, *more_words)),
    }
    answer = _templates().TemplateResponse(
        request, template, {**common, **context}, status_code=status, headers=HEADERS
    )
    if request.query_params.get("lang") == language:
        answer.set_cookie(
            translations.COOKIE, language, max_age=YEAR, path=root or "/", samesite="lax"
        )
    return answer


def _mark_up_sentence(language: str, text: str) -> Markup:
    """A sentence of the server in the reader's language, else marked as English."""
    translation = sentences.translate(text, language)
    parts = _CODE.split(translation or text)  # every second one stood between backticks
    markup = Markup().join(
        Markup("<code>{}</code>").format(part) if number % 2 else part
        for number, part in enumerate(parts)
    )
    return (
        markup
        if translation or language == "en"
        else Markup('<span lang="en">{}</span>').format(markup)
    )


def _translate(words: Mapping[str, str], key: str, **values: Any) -> str:
    return words.get(key, key).format(**values)


@cache
def _templates() -> Jinja2Templates:
    return Jinja2Templates(TEMPLATES)
