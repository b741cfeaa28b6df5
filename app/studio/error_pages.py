"""Errors for readers: problem documents in their language, as pages where they navigate."""

import json
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import problems
from app.avatars.state import get_picture_state
from app.studio import sentences, translations
from app.studio.pages import render
from models.registry import DEFAULT

PROBLEM = b"application/problem+json"
FORM = "application/x-www-form-urlencoded"
ENGLISH = "en"  # of the sentences in the code
NOT_COPIED = {b"content-type", b"content-length"}  # the page has its own


class ErrorPages:
    """ASGI middleware around everything that answers with problem documents.

    Only a reader who prefers HTML, and the forms of such a page, are answered with a page: scripts,
    images and other programs get the document, in the language that the request prefers
    (RFC 9457 §3.1.4).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        response = _Response(scope, receive, send)
        try:
            await self.app(scope, receive, response.send)
        except Exception:
            await response.send_defect()
            raise  # Starlette, which is around all middleware, logs it


class _Response:
    """The messages of one response; of a problem document, those that its reader prefers."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self.receive, self.pass_on = scope, receive, send
        self.start: Message | None = None  # of a problem document whose body is not complete
        self.body = b""
        self.has_begun = False

    async def send(self, message: Message) -> None:
        """Pass a message on; keep a problem document until it is complete."""
        if message["type"] == "http.response.start" and _is_problem(message):
            self.start = message
        elif self.start is None or message["type"] != "http.response.body":
            self.has_begun = True
            await self.pass_on(message)
        else:
            self.body += message.get("body", b"")
            if not message.get("more_body"):
                await self._send_problem(self.start, self.body)

    async def send_defect(self) -> None:
        """Send the document of a defect where the app failed before it answered."""
        if not self.has_begun:
            document = problems.defect()
            headers = document.raw_headers
            start = {"type": "http.response.start", "status": document.status_code}
            await self._send_problem({**start, "headers": headers}, bytes(document.body))

    async def _send_problem(self, start: Message, body: bytes) -> None:
        self.has_begun = True
        answer = _send_page if prefers_page(self.scope) else _send_document
        await answer(self.scope, start, body, self.receive, self.pass_on)


def prefers_page(scope: Scope) -> bool:
    """Whether the request is a navigation: it lists text/html before any other type."""
    headers = Headers(scope=scope)
    is_form = scope["method"] == "POST" and headers.get("content-type", "").startswith(FORM)
    if scope["method"] != "GET" and not is_form:
        return False
    accept = headers.get("accept", "")
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
    if language == ENGLISH:
        await send(start)
        return await send({"type": "http.response.body", "body": body})
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
        # A client that has used up its pictures would not get this one.
        has_faces=start["status"] != 429 and _has_faces(request),
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
    """The requested path and query, as one seed."""
    query = scope.get("query_string", b"").decode("latin-1")
    path = quote(scope["path"])
    return (f"{path}?{query}" if query else path)[:500]


def _has_faces(request: Request) -> bool:
    """Whether this server draws faces without a key."""
    state = get_picture_state(request)
    return state.settings.public_avatars and DEFAULT in state.engine.served
