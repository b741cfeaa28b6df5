"""Status, problem document (RFC 9457) and headers of each error."""

import errno
import json
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import sqlalchemy as sa
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match

from app import errors as app_errors
from app.headers import NO_SNIFF
from models import errors

log = structlog.get_logger()
T = TypeVar("T")

PROBLEMS: dict[type[Exception], tuple[int, str]] = {
    errors.InvalidSeed: (422, "invalid-seed"),
    errors.UnknownPreset: (422, "unknown-preset"),
    errors.InvalidRecipe: (422, "invalid-recipe"),
    errors.UnknownRun: (404, "unknown-run"),
    errors.ForbiddenMove: (409, "forbidden-move"),
    errors.StaleFence: (409, "stale-fence"),
    errors.UnknownModel: (404, "unknown-model"),
    errors.BadBundle: (409, "bad-bundle"),
    errors.LostTraits: (409, "lost-traits"),
    errors.NoCritic: (422, "no-critic"),
    errors.NoStyles: (422, "no-styles"),
    errors.NoTrainingHistory: (422, "no-training-history"),
    errors.UnknownDataset: (404, "unknown-dataset"),
    errors.DatasetExists: (409, "dataset-exists"),
    errors.DatasetInUse: (409, "dataset-in-use"),
    errors.InvalidKey: (422, "invalid-key"),
    errors.UnknownKey: (404, "unknown-key"),
    errors.UnknownWebhook: (404, "unknown-webhook"),
    errors.LastKey: (409, "last-key"),
    errors.LimitReached: (409, "limit-reached"),
    errors.TooLarge: (413, "too-large"),
    errors.TooLargeToDraw: (422, "too-large-to-draw"),
    errors.DiskFull: (507, "disk-full"),
    errors.UnusableDatabase: (503, "unusable-database"),
    errors.NotReady: (503, "not-ready"),
    errors.Overloaded: (503, "overloaded"),
    errors.QueueRefuses: (503, "queue-refuses"),
    errors.TrainingNotInstalled: (501, "training-not-installed"),
    errors.StorageUnreachable: (503, "storage-unreachable"),
    app_errors.InvalidParameter: (422, "invalid-parameter"),
    app_errors.NoAvatar: (404, "no-avatar"),
    app_errors.UnknownExtension: (404, "unknown-extension"),
    app_errors.NoProvenance: (422, "unidentified"),
    app_errors.UnknownSheet: (404, "unknown-sheet"),
    app_errors.Unauthorised: (401, "unauthorised"),
    app_errors.Forbidden: (403, "forbidden"),
    app_errors.TooManyRequests: (429, "too-many-requests"),
    app_errors.PublicAvatars: (409, "public-avatars"),
    app_errors.UnsupportedBody: (415, "unsupported-body"),
    errors.DatasetError: (422, "unusable-dataset"),
}
# A sentence about this interface, added to the text of an error, which is independent of HTTP.
HINTS: dict[type[Exception], str] = {
    errors.UnknownRun: "GET /train lists the runs.",
    errors.UnknownModel: "GET /models lists the models and their aliases.",
    errors.UnknownPreset: "GET /presets lists the presets.",
    errors.UnknownDataset: (
        "GET /datasets lists the datasets; POST /datasets uploads a zip of images."
    ),
    errors.UnknownKey: "GET /keys lists the keys.",
    errors.UnknownWebhook: "GET /webhooks lists the webhooks.",
}
# Retry-After in seconds, where a second is too soon.
RETRY_AFTER: dict[type[Exception], int] = {
    errors.QueueRefuses: 30,  # an operator has to free memory or disk space
}
# Slugs before they were renamed, sent as `former_type` for one release.
FORMER_SLUGS = {"no-critic": "unscored", "no-styles": "unmixable", "no-training-history": "ungrown"}
DATABASE_RETRY = 5  # s
METHODS = ("GET", "POST", "PATCH", "DELETE")
DEFECT = (500, "internal-error", "An internal error occurred; the server's log has it.")
# Attributes of an error that become members of its problem document.
EXTRAS = ("parameter", "allowed", "problems")
MOST_PROBLEMS = 20  # that an answer lists: a body of 64 KiB can have ten thousand
MEDIA_TYPE = "application/problem+json"
SENT_COUNTS: Counter[str] = Counter()  # problem documents by slug; app/metrics.py exports them

CONTENT: dict[str, Any] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
# For OpenAPI: every route may answer with one.
RESPONSES: dict[int | str, dict[str, Any]] = {
    422: {
        "description": "A parameter or the body is invalid; `detail` says how to correct it.",
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": {
                    "type": "urn:kao:problem:invalid-parameter",
                    "title": "Invalid parameter",
                    "status": 422,
                    "detail": "'size' is '0'; allowed: a whole number from 16 to 1024.",
                    "parameter": "size",
                    "allowed": "a whole number from 16 to 1024",
                },
            }
        },
    }
}
SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "parameter": {"type": "string"},
        "allowed": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "problems": {"type": "array", "items": {"type": "object"}},
        "former_type": {"type": "string", "format": "uri"},
    },
}


def row(kind: type[Exception]) -> tuple[int, str]:
    """The status and slug of an error's class or of its nearest base."""
    for base in kind.__mro__:
        if base in PROBLEMS:
            return PROBLEMS[base]
    return 500, "internal-error"


def problem(
    status: int,
    slug: str,
    detail: str,
    headers: dict[str, str] | None = None,
    **extra: Any,
) -> Response:
    """A problem document, never cached; it is counted as sent."""
    SENT_COUNTS[slug] += 1
    return _document(status, slug, detail, headers, **extra)


def defect() -> Response:
    """The document of a defect, not counted: `_answer_defect`, which Starlette calls too, does."""
    return _document(*DEFECT)


def _document(
    status: int, slug: str, detail: str, headers: dict[str, str] | None = None, **extra: Any
) -> Response:
    title = slug.replace("-", " ").capitalize()
    content = {"type": f"urn:kao:problem:{slug}", "title": title, "status": status}
    if slug in FORMER_SLUGS:
        extra["former_type"] = f"urn:kao:problem:{FORMER_SLUGS[slug]}"
    # ASCII only: a lone surrogate from a request cannot be encoded as UTF-8.
    body = json.dumps({**content, "detail": detail, **extra}).encode()
    all_headers = {**(headers or {}), "Cache-Control": "no-store", **NO_SNIFF}
    return Response(body, status, all_headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every failure of this app with a problem document."""
    app.add_exception_handler(errors.KaoError, answer)
    app.add_exception_handler(RequestValidationError, _answer_invalid_request)
    app.add_exception_handler(HTTPException, _answer_http_exception)
    app.add_exception_handler(ClientDisconnect, _answer_disconnect)
    app.add_exception_handler(sa.exc.DataError, _answer_data_error)
    app.add_exception_handler(sa.exc.OperationalError, _answer_database_error)
    # Every connection is in use, because the database does not answer the requests that have them.
    app.add_exception_handler(sa.exc.TimeoutError, _answer_database_error)
    app.add_exception_handler(OSError, _answer_os_error)
    app.add_exception_handler(Exception, _answer_defect)


async def answer(_: Request, error: Exception) -> Response:
    """The problem document of an error in the tree."""
    status, slug = row(type(error))
    headers = dict(getattr(error, "headers", {}))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers["Retry-After"] = str(_lookup(RETRY_AFTER, type(error)) or 1)
    extra = {name: getattr(error, name) for name in EXTRAS if hasattr(error, name)}
    return problem(status, slug, _sentence(error), headers, **extra)


def _sentence(error: Exception) -> str:
    """The error's text with the hint of its class."""
    hint = _lookup(HINTS, type(error))
    text = str(error)
    return f"{text} {hint}" if hint and hint not in text else text


def _lookup(table: Mapping[type[Exception], T], kind: type[Exception]) -> T | None:
    return next((table[base] for base in kind.__mro__ if base in table), None)


async def _answer_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    items = error.errors()
    problems = [
        {"field": ".".join(str(part) for part in item["loc"]), "problem": str(item["msg"])}
        for item in items[:MOST_PROBLEMS]
    ]
    listing = "; ".join(f"{item['field']}: {item['problem']}" for item in problems)
    if len(items) > MOST_PROBLEMS:
        listing += f"; and {len(items) - MOST_PROBLEMS:,} more"
    detail = f"The request is invalid: {listing}."
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = media_type == "application/json" or media_type.endswith("+json")
    if not is_json and any(item["field"].split(".")[0] == "body" for item in problems):
        note = f"it was {media_type[:60]}" if media_type else "there was none"
        detail += f" The body must be JSON: send `Content-Type: application/json`; {note}."
    return problem(422, "invalid-request", detail, problems=problems)


def _allowed_methods(request: Request) -> str:
    """The methods of all routes at an address; Starlette's answer has those of the first alone."""
    routes, scope = request.app.routes, request.scope
    methods = [
        method
        for method in METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    return ", ".join([*methods, "HEAD"] if "GET" in methods else methods)  # app/http/head.py


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    sentences = {
        400: "The body cannot be read: send complete JSON that is less deeply nested.",
        404: "There is nothing at this address; /docs lists the addresses.",
        405: "This address does not accept this method; the Allow header lists those it accepts.",
    }
    # FastAPI's default texts say nothing; those of our own routes do.
    is_default = error.detail in (phrase, "There was an error parsing the body")
    detail = sentences.get(error.status_code, phrase) if is_default else error.detail
    slug = phrase.lower().replace(" ", "-")
    if error.status_code == row(errors.TooLarge)[0]:
        slug = row(errors.TooLarge)[1]
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = _allowed_methods(request)
    return problem(error.status_code, slug, str(detail), headers)


async def _answer_data_error(_: Request, error: Exception) -> Response:
    # PostgreSQL refuses NUL in text, and numbers that a column does not hold; SQLite stores both.
    if "NUL" not in str(getattr(error, "orig", error)):
        return problem(422, "invalid-request", "The request contains a number that is too large.")
    return problem(422, "invalid-request", "The request contains U+0000, which cannot be stored.")


async def _answer_database_error(request: Request, error: Exception) -> Response:
    """507 where the database has no disk space; 503 where it is locked or does not answer."""
    reason = str(getattr(error, "orig", error))
    log.warning("database.refused", path=request.url.path, reason=reason)
    if "disk is full" in reason or "No space left" in reason:
        status, slug = row(errors.DiskFull)
        return problem(status, slug, "The disk of the database is full; nothing was changed.")
    # A connection that was lost while a transaction was committed leaves its outcome unknown.
    detail = (
        "The database is locked or does not answer. Look whether the change was made before you "
        "repeat it, or send POST /train with an Idempotency-Key."
    )
    headers = {"Retry-After": str(DATABASE_RETRY)}
    return problem(503, "database-unavailable", detail, headers)


async def _answer_os_error(request: Request, error: Exception) -> Response:
    """507 where a disk or a quota is full, 503 where a disk is broken; else it is a defect."""
    if isinstance(error, OSError) and error.errno in (errno.EIO, errno.EROFS):
        log.error("disk.broken", path=request.url.path, reason=str(error))
        return await answer(request, errors.StorageUnreachable("A disk of the server is broken."))
    if not isinstance(error, OSError) or error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    log.warning("disk.full", path=request.url.path)
    status, slug = row(errors.DiskFull)
    return problem(status, slug, "The disk is full; nothing was changed.")


async def _answer_disconnect(_: Request, __: Exception) -> Response:
    return problem(400, "client-disconnected", "The connection ended before the body was complete.")


async def _answer_defect(request: Request, error: Exception) -> Response:
    log.error("request.failed", path=request.url.path, error=type(error).__name__)
    return problem(*DEFECT)
