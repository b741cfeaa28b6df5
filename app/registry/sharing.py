"""Whole models over HTTP: download one as a zip, upload such a zip."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from app.auth.scopes import needs
from app.headers import NO_SNIFF
from app.http import cache_headers
from app.http.query_string import Only
from app.registry.schemas import Model, model
from app.state import AppState, State
from app.uploads import receive
from models import bundle
from models.bundle import archive
from models.datasets.quotas import Room

router = APIRouter(prefix="/models", tags=["models"], dependencies=[Depends(Only())])

ZIP = "application/zip"
NO_CACHE, IMMUTABLE = "private, no-cache", "private, max-age=31536000, immutable"
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A zip of `GET /models/{name}/bundle.zip` or `kao models export`.",
        "content": {ZIP: {"schema": {"type": "string", "format": "binary"}}},
    }
}
_ZIP: dict[int | str, dict[str, Any]] = {
    200: {"content": {ZIP: {"schema": {"type": "string", "format": "binary"}}}}
}


@router.get(
    "/{name}/bundle.zip",
    dependencies=[needs("read")],
    response_class=StreamingResponse,
    responses=_ZIP,
    summary="Download a model",
)
def download(request: Request, state: State, name: str) -> Response:
    """All files of the model as one zip, which `POST /models` of another server takes."""
    row = state.registry.get(name)
    version = row["version"]
    headers = {
        **NO_SNIFF,
        "Cache-Control": IMMUTABLE if name == version else NO_CACHE,
        "Content-Disposition": f'attachment; filename="kao-{version[:12]}.zip"',
        "X-Avatar-Model": version,
        **cache_headers.version_headers(version, row["published"]),
    }
    if cache_headers.is_unchanged(request.headers, headers):
        return Response(status_code=304, headers=headers)
    folder = state.registry.fetch(version)
    bundle.check_digest(folder, version)
    return StreamingResponse(archive.stream(folder), headers=headers, media_type=ZIP)


@router.post(
    "",
    status_code=201,
    dependencies=[needs("models")],
    openapi_extra=_BODY,
    responses={200: {"model": Model, "description": "The same model exists already."}},
    summary="Upload a model",
)
async def upload(state: State, request: Request, response: Response) -> Model:
    """Verify a zip of a model's files and add it. Its faces need its version until a promotion."""
    limit = state.settings.max_bundle_bytes
    room = Room(limit, "an administrator may raise KAO_MAX_BUNDLE_BYTES.")
    earlier_versions = await run_in_threadpool(_versions, state)
    async with receive(request, state, room) as path, state.checks:
        version = await run_in_threadpool(state.registry.import_zip, path, limit)
    response.status_code = 200 if version in earlier_versions else 201
    response.headers["Location"] = f"/models/{version}"
    return await run_in_threadpool(
        lambda: model(state.registry.get(version), state.registry.aliases())
    )


def _versions(state: AppState) -> set[str]:
    return {row["version"] for row in state.registry.list_models()}
