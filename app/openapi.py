"""The OpenAPI document, with what FastAPI cannot know of our answers: problems, keys, limits."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from app import problems
from app.auth import scopes

Json = dict[str, Any]
TOLD = {
    400: "The body did not come whole, or cannot be read at all.",
    401: "The key is missing, unknown or revoked.",
    403: "The key, or the signed address, does not open this.",
    404: "There is none by that name.",
    409: "It cannot be done as things are; `detail` says what is in the way.",
    413: "The body is larger than is allowed.",
    415: "The body is of a kind that is not read here.",
    429: "More than the rate limit allows; see Retry-After.",
    503: "Overloaded, or no verified model yet; see Retry-After.",
    507: "The disk has no room for it.",
}
# What an address in itself does not tell.
MORE: dict[tuple[str, str], tuple[int, ...]] = {
    ("post", "/train"): (404, 409),
    ("post", "/train/{run}/cancel"): (409,),
    ("post", "/train/{run}/resume"): (409,),
    ("post", "/models/rollback"): (404, 409),
    ("post", "/models/{version}/promote"): (409,),
    ("post", "/datasets"): (409, 415, 507),
    ("delete", "/datasets/{name}"): (409,),
    ("post", "/sign"): (409,),
    ("post", "/session"): (401, 403, 429),
    ("delete", "/session"): (403, 429),
    ("get", "/health/ready"): (503,),
}


def install(app: FastAPI) -> None:
    """Complete the document of this app whenever it is made."""
    generate, settings = app.openapi, app.state.services.settings

    def openapi() -> Json:
        document = generate()
        document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = problems.SCHEMA
        if settings.public_avatars:
            scopes.open_pictures(document)
        for method, path, operation in operations(document):
            _document(method, path, operation)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    """(method, path, operation) of each."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def _document(method: str, path: str, operation: Json) -> None:
    answers = operation["responses"]
    for status in {*_statuses(path, operation), *MORE.get((method, path), ())}:
        answers.setdefault(str(status), {"description": TOLD[status]})
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
    if "avatars" in operation["tags"]:  # its model may be unknown, or not yet there
        yield from (404, 503)
