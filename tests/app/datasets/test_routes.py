"""Uploads: what is kept, what is refused, and that nothing is left behind."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from app.main import create_app
from models.registry import Registry
from models.settings import Settings
from models.storage import atomic

WHERE = "/datasets?name=faces&licence=CC0-1.0"


def _zip(count: int = 3, name: str = "{}.png", shade: int = 0) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number in range(count):
            picture = io.BytesIO()
            Image.fromarray(np.full((16, 16, 3), number + shade, np.uint8)).save(picture, "PNG")
            archive.writestr(zipfile.ZipInfo(name.format(number)), picture.getvalue())
    return target.getvalue()


def _files(settings):
    return sorted(
        str(path.relative_to(settings.storage))
        for folder in ("uploads", "datasets")
        for path in (settings.storage / folder).glob("*")
    )


@pytest.fixture
def upload(client: TestClient, key: dict[str, str]):
    def send(content, where=WHERE, **headers):
        return client.post(where, content=content, headers={**key, **headers})

    return send


def test_an_upload_is_kept_and_can_be_trained_on(
    client: TestClient, key: dict[str, str], upload, settings: Settings
) -> None:
    answer = upload(_zip())
    assert answer.status_code == 201
    kept = answer.json()
    assert (kept["name"], kept["images"], kept["licence"]) == ("faces", 3, "CC0-1.0")
    assert _files(settings) == [f"datasets/{kept['digest']}.zip"]
    file = settings.storage / "datasets" / f"{kept['digest']}.zip"
    assert atomic.sha256(file) == kept["digest"]
    names = [row["name"] for row in client.get("/datasets", headers=key).json()["datasets"]]
    assert names == ["starter", "faces"]
    run = client.post("/train", json={"preset": "smoke", "dataset": "faces"}, headers=key)
    assert run.status_code == 202


def test_the_same_again_is_fine_and_another_is_409(upload, settings: Settings) -> None:
    digest = upload(_zip()).json()["digest"]
    assert upload(_zip()).status_code == 200
    assert upload(_zip(shade=9)).status_code == 409
    assert _files(settings) == [f"datasets/{digest}.zip"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(b"", "zip", id="empty"),
        pytest.param(b"no zip", "zip", id="no-zip"),
        pytest.param(_zip(0), "no pictures", id="no-entries"),
        pytest.param(_zip(1, "{}.txt"), "no pictures", id="no-pictures"),
        pytest.param(_zip(1, "../{}.png"), "outside", id="traversal"),
        pytest.param(_zip()[:-40], "whole", id="cut-off"),
    ],
)
def test_an_unusable_archive_is_refused_and_leaves_nothing(
    upload, settings: Settings, content, told
) -> None:
    answer = upload(content)
    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert _files(settings) == []


@pytest.mark.parametrize(
    "query",
    [
        "name=starter&licence=x",
        "name=Faces&licence=x",
        "name=&licence=x",
        "name=../x&licence=x",
        f"name={'x' * 64}&licence=x",
        "licence=x",
        "name=faces&licence=",
        "name=faces&licence=x&public=1",
        "name=a&name=b&licence=x",
    ],
)
def test_a_set_needs_a_name_and_a_licence(upload, settings: Settings, query) -> None:
    assert upload(_zip(), f"/datasets?{query}").status_code == 422
    assert _files(settings) == []


def test_a_form_is_told_how(upload) -> None:
    answer = upload(b"--x", **{"content-type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 415
    assert "--data-binary" in answer.json()["detail"]


@pytest.mark.parametrize("streamed", [False, True])
def test_an_upload_above_the_limit_is_413_and_leaves_nothing(
    settings: Settings, registry: Registry, key: dict[str, str], streamed
) -> None:
    small = settings.model_copy(update={"max_upload_bytes": 100})
    content = _zip()
    with TestClient(create_app(small)) as client:
        body = iter([content[:50], content[50:]]) if streamed else content
        answer = client.post(WHERE, content=body, headers=key)
    assert answer.status_code == 413
    assert "KAO_MAX_UPLOAD_BYTES" in answer.json()["detail"]
    assert _files(settings) == []


def test_an_upload_that_breaks_off_leaves_nothing(
    start, settings: Settings, registry: Registry, key: dict[str, str]
) -> None:
    import socket
    import time

    live = start()
    host, port = live.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST {WHERE} HTTP/1.1\r\nHost: x\r\nAuthorization: {key['Authorization']}\r\n"
        connection.sendall((head + "Content-Length: 999999\r\n\r\n").encode() + b"x" * 1000)
        end = time.monotonic() + 10
        while not _files(settings):
            assert time.monotonic() < end
            time.sleep(0.02)
    while _files(settings):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_set_in_use_stays_and_an_idle_one_goes(
    client: TestClient, key: dict[str, str], upload, settings: Settings
) -> None:
    upload(_zip())
    run = client.post("/train", json={"preset": "smoke", "dataset": "faces"}, headers=key).json()
    assert client.delete("/datasets/faces", headers=key).status_code == 409
    client.post(run["links"]["cancel"], headers=key)
    assert client.delete("/datasets/faces", headers=key).status_code == 204
    assert _files(settings) == []
    assert client.delete("/datasets/faces", headers=key).status_code == 404
    assert client.delete("/datasets/starter", headers=key).status_code == 422


def test_two_names_share_one_file_until_both_are_gone(
    client: TestClient, key: dict[str, str], upload, settings: Settings
) -> None:
    digest = upload(_zip()).json()["digest"]
    assert upload(_zip(), WHERE.replace("faces", "more")).status_code == 201
    client.delete("/datasets/faces", headers=key)
    assert _files(settings) == [f"datasets/{digest}.zip"]
    client.delete("/datasets/more", headers=key)
    assert _files(settings) == []
