"""Previews and checks of a dataset: correct, and one at a time."""

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from starlette.testclient import TestClient

from app.datasets import contents
from models.registry import Registry
from tests.app.conftest import Start
from tests.support.hostile_zips import picture, zipped


def _upload(url: str, key: dict[str, str], client: Any) -> None:
    files = [(f"{number}.png", picture(size=(32, 32))) for number in range(3)]
    other = ("other.png", picture(size=(16, 16)))
    answer = client.post(
        f"{url}/datasets?name=faces&licence=CC0-1.0", content=zipped(*files, other), headers=key
    )
    assert answer.status_code == 201


def test_duplicates_are_counted(client: TestClient, key: dict[str, str]) -> None:
    _upload("", key, client)
    body = client.get("/datasets/faces/contents", headers=key).json()
    assert (body["images"], body["duplicates"], body["broken"]) == (4, 2, 0)
    assert body["groups"] == [["0.png", "1.png", "2.png"]]


def test_a_preview_has_the_size_of_its_rows(client: TestClient, key: dict[str, str]) -> None:
    _upload("", key, client)
    answer = client.get("/datasets/faces/preview.webp?columns=3&size=16", headers=key)
    assert Image.open(io.BytesIO(answer.content)).size == (48, 32)
    assert "private" in answer.headers["cache-control"]


@pytest.mark.parametrize(("path", "work"), [("contents", "_inspect"), ("preview.webp", "_preview")])
def test_a_dataset_that_is_deleted_while_one_waits_is_unknown(
    client: TestClient,
    key: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    work: str,
) -> None:
    _upload("", key, client)
    read = getattr(contents, work)

    def delete_first(zip_path: Path, *rest: Any) -> Any:
        zip_path.unlink()
        return read(zip_path, *rest)

    monkeypatch.setattr(contents, work, delete_first)
    answer = client.get(f"/datasets/faces/{path}", headers=key)
    assert answer.status_code == 404
    assert answer.json()["type"].endswith("unknown-dataset")


def test_previews_are_decoded_one_at_a_time(
    start: Start,
    registry: Registry,
    http: httpx.Client,
    key: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Forty at once took the memory of forty decoders, and killed the app."""
    active, peak, lock = 0, 0, threading.Lock()
    preview = contents._preview

    def observe(
        path: Path, count: int, columns: int, size: int, only: frozenset[str] | None
    ) -> bytes:
        nonlocal active, peak
        with lock:
            active += 1
            peak = max(peak, active)
        time.sleep(0.05)  # gives others the time to enter
        try:
            return preview(path, count, columns, size, only)
        finally:
            with lock:
                active -= 1

    monkeypatch.setattr(contents, "_preview", observe)
    live = start()
    _upload(live.url, key, http)
    urls = [f"{live.url}/datasets/faces/preview.webp?size={size}" for size in range(16, 24)]
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda url: http.get(url, headers=key).status_code, urls))
    assert (statuses, peak) == ([200] * 8, 1)
