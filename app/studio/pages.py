"""The pages over HTTP, and what they are made of."""

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException
from starlette.templating import Jinja2Templates

from app.state import Services
from app.studio import translations
from app.studio.assets import assets, digest

router = APIRouter(include_in_schema=False)
TEMPLATES = Path(__file__).parent / "templates"
THEMES = ("light", "dark")
THEME_COOKIE = "kao_theme"
SHOWN = {"seed": "Kao", "psi": "0.7"}  # what assets/state.js begins with
IMMUTABLE = "public, max-age=31536000, immutable"
YEAR = 365 * 24 * 3600  # s
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # The same address has other words and colours for others.
    "Cache-Control": "private, no-cache",
    "Vary": "Cookie, Accept-Language",
}


@router.get("/")
async def playground(request: Request) -> Response:
    """Everybody's page; where faces need a key there is nothing to play with."""
    held: Services = request.app.state.services
    if not held.settings.public_avatars:
        return render(request, "closed.html", "playground", status=403)
    return render(request, "playground.html", "playground", card=_card(request))


@router.get("/docs")
async def docs(request: Request) -> Response:
    """OpenAPI in Swagger UI, from this server alone."""
    return render(request, "docs.html", "docs")


@router.get("/assets/{version}/{name:path}")
async def asset(request: Request, version: str, name: str) -> Response:
    """One file of the pages; of another version there is none."""
    found = assets().get(name)
    if found is None or version != digest():
        raise HTTPException(404)
    headers = {
        "Cache-Control": IMMUTABLE,
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Encoding",
    }
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(found.plain, headers=headers, media_type=found.media)
    headers["Content-Encoding"] = "gzip"
    return Response(found.zipped, headers=headers, media_type=found.media)


def render(
    request: Request, template: str, page: str, status: int = 200, **context: Any
) -> Response:
    """A page in the reader's language and colours.

    `page` marks its place in the navigation; its script gets the words whose keys begin with
    `common.` or with `page` and a dot.
    """
    language = translations.chosen(request)
    known = translations.words(language)
    root = request.scope.get("root_path", "")
    theme = request.cookies.get(THEME_COOKIE)
    given = {
        "page": page,
        "lang": language,
        "languages": translations.LANGUAGES,
        "theme": theme if theme in THEMES else "auto",
        "root": root,
        "t": lambda key, **values: known[key].format(**values),
        "asset": lambda name: f"{root}/assets/{digest()}/{name}",
        "script_words": translations.of_pages(language, ("common", page)),
    }
    answer = _templates().TemplateResponse(
        request, template, {**given, **context}, status_code=status, headers=HEADERS
    )
    if request.query_params.get("lang") == language:
        answer.set_cookie(translations.COOKIE, language, max_age=YEAR, samesite="lax")
    return answer


def _card(request: Request) -> str:
    """The picture that a shared link shows (Open Graph wants it absolute)."""
    shown = {name: request.query_params.get(name, usual) for name, usual in SHOWN.items()}
    return f"{request.base_url}og?{urlencode(shown, quote_via=quote)}"


@cache
def _templates() -> Jinja2Templates:
    return Jinja2Templates(TEMPLATES)
