"""What each error is in HTTP: a status, and a problem document (RFC 9457)."""

import json
from collections import Counter
from http import HTTPStatus
from typing import Any

import sqlalchemy as sa
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from app import errors as app_errors
from models import errors

log = structlog.get_logger()

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
    errors.NoCritic: (422, "unscored"),
    errors.NoStyles: (422, "unmixable"),
    errors.NoTrainingHistory: (422, "ungrown"),
    errors.UnknownDataset: (404, "unknown-dataset"),
    errors.DatasetExists: (409, "dataset-exists"),
    errors.DatasetInUse: (409, "dataset-in-use"),
    errors.InvalidKey: (422, "invalid-key"),
    errors.UnknownKey: (404, "unknown-key"),
    errors.TooLarge: (413, "too-large"),
    errors.DiskFull: (507, "disk-full"),
    errors.UnusableDatabase: (503, "unusable-database"),
    errors.NotReady: (503, "not-ready"),
    errors.Overloaded: (503, "overloaded"),
    errors.QueueRefuses: (503, "queue-refuses"),
    errors.StorageUnreachable: (503, "storage-unreachable"),
    app_errors.InvalidParameter: (422, "invalid-parameter"),
    app_errors.NoAvatar: (404, "no-avatar"),
    app_errors.UnknownExtension: (404, "unknown-extension"),
    app_errors.Unidentified: (422, "unidentified"),
    app_errors.UnknownSheet: (404, "unknown-sheet"),
    app_errors.Unauthorised: (401, "unauthorised"),
    app_errors.Forbidden: (403, "forbidden"),
    app_errors.TooManyRequests: (429, "too-many-requests"),
    app_errors.PublicAvatars: (409, "public-avatars"),
    app_errors.UnsupportedBody: (415, "unsupported-body"),
    errors.DatasetError: (422, "unusable-dataset"),
}
# Members that a problem carries beside its sentence, where its error has them.
EXTRAS = ("parameter", "allowed", "problems")
MEDIA_TYPE = "application/problem+json"
REFUSED: Counter[str] = Counter()  # by slug; app/http/metrics.py exports them

CONTENT: dict[str, Any] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
# For OpenAPI: every route may answer with one.
DOCUMENTED: dict[int | str, dict[str, Any]] = {
    422: {
        "description": "A parameter or the body cannot be used; `detail` says what to do.",
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
    """One problem document, never cached."""
    REFUSED[slug] += 1
    title = slug.replace("-", " ").capitalize()
    content = {"type": f"urn:kao:problem:{slug}", "title": title, "status": status}
    # ASCII only: a lone surrogate that somebody sent has no UTF-8.
    body = json.dumps({**content, "detail": detail, **extra}).encode()
    fixed = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(body, status, {**(headers or {}), **fixed}, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every failure of this app a problem document."""
    app.add_exception_handler(errors.KaoError, known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(sa.exc.DataError, _unstorable)
    app.add_exception_handler(Exception, _unforeseen)


async def known(_: Request, error: Exception) -> Response:
    """An error of the tree as its problem document."""
    status, slug = row(type(error))
    headers = dict(getattr(error, "headers", {}))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers.setdefault("Retry-After", "1")
    extra = {name: getattr(error, name) for name in EXTRAS if hasattr(error, name)}
    return problem(status, slug, str(error), headers, **extra)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [
        {"field": ".".join(str(part) for part in item["loc"]), "problem": str(item["msg"])}
        for item in error.errors()
    ]
    told = "; ".join(f"{item['field']}: {item['problem']}" for item in problems)
    return problem(
        422, "invalid-request", f"The request cannot be used: {told}.", problems=problems
    )


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    sentences = {
        400: "The body cannot be read: send it whole, as JSON that is not nested this deeply.",
        404: "There is nothing at this address; /docs lists what there is.",
        405: "This address does not take this method; the Allow header names those it takes.",
    }
    own = error.detail not in (phrase, "There was an error parsing the body")  # FastAPI's words
    told = error.detail if own else sentences.get(error.status_code, phrase)
    slug = phrase.lower().replace(" ", "-")
    if error.status_code == row(errors.TooLarge)[0]:
        slug = row(errors.TooLarge)[1]
    return problem(error.status_code, slug, str(told), dict(error.headers or {}))


async def _unstorable(_: Request, __: Exception) -> Response:
    # PostgreSQL's texts have no NUL; SQLite's may.
    told = "The request has a character that no text here can have: U+0000."
    return problem(422, "invalid-request", told)


async def _gone(_: Request, __: Exception) -> Response:
    return problem(400, "client-disconnected", "The connection ended before the body did.")


async def _unforeseen(request: Request, error: Exception) -> Response:
    log.error("request.failed", path=request.url.path, error=type(error).__name__)
    return problem(500, "internal-error", "Something failed on our side; the log has the reason.")
