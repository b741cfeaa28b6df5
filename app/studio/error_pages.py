"""Errors for readers: problem documents in their language, as pages where they navigate."""

import json
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.avatars.state import get_picture_state
from app.studio import sentences, translations
from app.studio.pages import render
from models.registry import DEFAULT

PROBLEM = b"application/problem+json"
ENGLISH = "en"  # of the sentences in the code
NOT_COPIED = {b"content-type", b"content-length"}  # the page has its own


class ErrorPages:
    """ASGI middleware around everything that answers with problem documents.

    Only GET of a reader who prefers HTML is answered with a page: scripts, images and other
    programs get the document, in the language that the request prefers (RFC 9457 §3.1.4).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        answer = _send_page if prefers_page(scope) else _send_document
        if answer is _send_document and _language(scope) == ENGLISH:
            return await self.app(scope, receive, send)
        start: Message | None = None
        body = b""

        async def convert(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_problem(message):
                start = message
            elif start is None or message["type"] != "http.response.body":
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body"):
                    await answer(scope, start, body, receive, send)

        await self.app(scope, receive, convert)


def prefers_page(scope: Scope) -> bool:
    """Whether the request is a navigation: it lists text/html before any other type."""
    if scope["method"] != "GET":
        return False
    accept = Headers(scope=scope).get("accept", "")
    return accept.partition(",")[0].partition(";")[0].strip().lower() == "text/html"


def _is_problem(message: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(PROBLEM)
        for name, value in message.get("headers", ())
    )


def _language(scope: Scope) -> str:
    return translations.language_of(Request(scope))


async def _send_document(
    scope: Scope, start: Message, body: bytes, receive: Receive, send: Send
) -> None:
    """Send the problem document in the language of the request."""
    language = _language(scope)
    body = json.dumps(sentences.translate_problem(json.loads(body), language)).encode()
    headers = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
    length = str(len(body)).encode()
    headers += [(b"content-language", language.encode()), (b"content-length", length)]
    await send({**start, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_page(
    scope: Scope, start: Message, body: bytes, receive: Receive, send: Send
) -> None:
    problem = json.loads(body)
    request = Request(scope, receive)
    answer = render(
        request,
        "error.html",
        "error",
        start["status"],
        problem=problem,
        detail=problem.get("detail", ""),
        title=_title_key(start["status"]),
        address=_address(scope),
        has_faces=_has_faces(request),
    )
    answer.headers["Cache-Control"] = "no-store"
    for name, value in start["headers"]:
        if name.lower() not in NOT_COPIED and name.decode().lower() not in answer.headers:
            answer.raw_headers.append((name, value))
    await answer(scope, receive, send)


def _title_key(status: int) -> str:
    """The key of the page's title: statuses without one share that of their class."""
    own = {401, 403, 404, 405, 422, 429, 503}
    return f"error.title.{status if status in own else 500 if status >= 500 else 422}"


def _address(scope: Scope) -> str:
    """The path and query that were asked for, as one seed."""
    query = scope.get("query_string", b"").decode("latin-1")
    path = quote(scope["path"])
    return (f"{path}?{query}" if query else path)[:500]


def _has_faces(request: Request) -> bool:
    """Whether this server draws faces without a key."""
    state = get_picture_state(request)
    return state.settings.public_avatars and DEFAULT in state.engine.served
