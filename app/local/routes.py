"""The scripts that draw faces in a browser, and a page that shows them at work.

`clients/js/local` has their source and builds them into `scripts`.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response

from app.headers import NO_SNIFF, SHARED
from app.http import cache_headers
from app.http.content_encoding import EncodedContent, encode_content
from app.http.path_prefix import root_of

router = APIRouter(include_in_schema=False, prefix="/local")

FOLDER = Path(__file__).parent / "scripts"
PAGE = "page.html"
SCRIPTS = frozenset({"faces", "live", "page", "worker", "service", "engine"})
MEDIA = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
# Compiling WebAssembly is what these scripts are for. Nothing else may: a worker has the policy of
# its own script, so no page needs 'wasm-unsafe-eval' (docs/security.md).
# 'self': the script of the engine.
DRAWING_POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
BROTLI_QUALITY = 11  # a script once in the life of a process: 0.2 s, and 10 % less than gzip
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; "
    "img-src 'self'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Script:
    """A file as it travels."""

    content: EncodedContent
    media: str
    etag: str


@router.get("")
@router.head("")
def page(request: Request) -> Response:
    """Two hundred faces, drawn here."""
    return _respond(request, PAGE, {"Content-Security-Policy": PAGE_POLICY})


@router.get("/page.css")
@router.head("/page.css")
def style(request: Request) -> Response:
    """The style of the page."""
    return _respond(request, "page.css", {})


@router.get("/{name}.js")
@router.head("/{name}.js")
def script(request: Request, name: str) -> Response:
    """One script. The service worker may answer for the whole site."""
    if name not in SCRIPTS:
        raise HTTPException(404)
    headers = {"Content-Security-Policy": DRAWING_POLICY, **SHARED}
    if name == "service":
        headers["Service-Worker-Allowed"] = f"{root_of(request)}/"
    return _respond(request, f"{name}.js", headers)


def _respond(request: Request, name: str, headers: dict[str, str]) -> Response:
    file = _files()[name]
    headers |= {**NO_SNIFF, "Cache-Control": "no-cache", "ETag": file.etag}
    body, encoding_headers = file.content.choose(request.headers.get("accept-encoding", ""))
    headers |= encoding_headers
    if cache_headers.is_unchanged(request.headers, headers):
        headers.pop("Content-Encoding", None)
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=file.media)


@cache
def _files() -> dict[str, Script]:
    return {path.name: _read(path) for path in FOLDER.iterdir() if path.suffix in MEDIA}


def _read(path: Path) -> Script:
    content = path.read_bytes()
    etag = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
    return Script(encode_content(content, BROTLI_QUALITY), MEDIA[path.suffix], etag)
