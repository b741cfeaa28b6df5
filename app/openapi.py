"""Adds to the OpenAPI document what FastAPI cannot infer: problems, keys and rate limits."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from app import problems
from app.auth import scopes

Json = dict[str, Any]
DESCRIPTIONS = {
    400: "The body is incomplete or cannot be parsed.",
    401: "The key is missing, unknown or revoked.",
    403: "The key or the signed address does not permit this.",
    404: "Nothing has this name.",
    409: "The current state does not allow this; `detail` says why.",
    413: "The body is too large.",
    415: "The body has an unsupported media type.",
    429: "A rate limit is exceeded; see Retry-After.",
    501: "Training is not installed on this server.",
    503: "Overloaded, or no verified model is loaded yet; see Retry-After.",
    507: "The disk is full.",
}
# Statuses that cannot be inferred from the operation itself.
EXTRA_STATUSES: dict[tuple[str, str], tuple[int, ...]] = {
    ("post", "/train"): (404, 409, 501),
    ("post", "/train/{run}/cancel"): (409,),
    ("post", "/train/{run}/resume"): (409, 501),
    ("post", "/models"): (409, 415, 507),
    ("get", "/models/{name}/bundle.zip"): (409,),
    ("post", "/models/rollback"): (404, 409),
    ("post", "/models/{version}/promote"): (409,),
    ("post", "/datasets"): (409, 415, 507),
    ("delete", "/datasets/{name}"): (409,),
    ("post", "/sign"): (409,),
    ("delete", "/keys/{id}"): (409,),
    ("post", "/session"): (401, 403, 429),
    ("delete", "/session"): (403, 429),
    ("get", "/health/ready"): (503,),
}


def install(app: FastAPI) -> None:
    """Complete the document whenever FastAPI generates it."""
    generate, settings = app.openapi, app.state.kao.settings

    def openapi() -> Json:
        document = generate()
        document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = problems.SCHEMA
        if settings.public_avatars:
            _document_public_pictures(document)
        for method, path, operation in operations(document):
            _complete(method, path, operation)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _document_public_pictures(document: Json) -> None:
    """Operations with the scope `avatars` need no key."""
    for _, _, operation in operations(document):
        if operation.get("security") == [{scopes.BEARER.scheme_name: ["avatars"]}]:
            operation["security"].append({})


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Every operation of the document, as (method, path, operation)."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def _complete(method: str, path: str, operation: Json) -> None:
    answers = operation["responses"]
    for status in {*_statuses(path, operation), *EXTRA_STATUSES.get((method, path), ())}:
        answers.setdefault(str(status), {"description": DESCRIPTIONS[status]})
    for status, answer in answers.items():
        if int(status) >= 400:
            answer.setdefault("content", problems.CONTENT)


def _statuses(path: str, operation: Json) -> Iterator[int]:
    security = operation.get("security", [])
    if security:
        yield 429
        if {} not in security:
            yield from (401, 403)
    if "{" in path:
        yield 404
    if "requestBody" in operation:
        yield from (400, 413)
    if "avatars" in operation["tags"]:  # the model may be unknown, or not loaded yet
        yield from (404, 503)
