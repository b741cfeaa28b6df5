"""Uploads: which are stored, which are refused, and that no file is left behind."""

import io
import socket
import time
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from httpx2 import Response
from PIL import Image
from starlette.testclient import TestClient

from app.main import create_app
from models.registry import Registry
from models.settings import Settings
from models.storage import atomic
from models.storage.blob_store import Blobs
from tests.app.conftest import Start
from worker.datasets import starter, starter_attributes

ADDRESS = "/datasets?name=faces&licence=CC0-1.0"
Upload = Callable[..., Response]


def _zip(count: int = 3, name: str = "{}.png", shade: int = 0) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number in range(count):
            picture = io.BytesIO()
            Image.fromarray(np.full((16, 16, 3), number + shade, np.uint8)).save(picture, "PNG")
            archive.writestr(zipfile.ZipInfo(name.format(number)), picture.getvalue())
    return target.getvalue()


def _files(settings: Settings) -> list[str]:
    return sorted(
        str(path.relative_to(settings.storage))
        for folder in ("uploads", "datasets")
        for path in (settings.storage / folder).glob("*")
    )


@pytest.fixture
def upload(client: TestClient, key: dict[str, str]) -> Upload:
    """Send `POST /datasets` with a body."""

    def send(content: bytes, address: str = ADDRESS, **headers: str) -> Response:
        return client.post(address, content=content, headers={**key, **headers})

    return send


def test_an_upload_is_kept_and_can_be_trained_on(
    client: TestClient, key: dict[str, str], upload: Upload, settings: Settings
) -> None:
    answer = upload(_zip())
    assert answer.status_code == 201
    dataset = answer.json()
    assert (dataset["name"], dataset["images"], dataset["licence"]) == ("faces", 3, "CC0-1.0")
    assert _files(settings) == [f"datasets/{dataset['digest']}.zip"]
    file = settings.storage / "datasets" / f"{dataset['digest']}.zip"
    assert atomic.sha256(file) == dataset["digest"]
    names = [row["name"] for row in client.get("/datasets", headers=key).json()["datasets"]]
    assert names == ["starter", "faces"]
    run = client.post("/train", json={"preset": "smoke", "dataset": "faces"}, headers=key)
    assert run.status_code == 202


def _labelled_zip(**files: bytes) -> bytes:
    """Sixteen pictures with labels, and other files by name."""
    target = io.BytesIO(_zip(16, "faces/{}.png"))
    rows = ["file_name,Hair Colour,height,smiling,caption"]
    rows += [f"{n}.png,{('red', 'blue')[n % 2]},{n * 1.5},{n < 4},text {n}" for n in range(16)]
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("faces/metadata.csv", "\n".join(rows))
        for name, content in files.items():
            archive.writestr(name.replace("_", "."), content)
    return target.getvalue()


def test_labels_of_an_upload_are_shown_and_can_be_trained_on(
    client: TestClient, key: dict[str, str], upload: Upload
) -> None:
    assert upload(_labelled_zip()).status_code == 201
    details = client.get("/datasets/faces", headers=key).json()
    assert details["labels"] == [
        {
            "name": "hair_colour",
            "column": "Hair Colour",
            "values": {"red": 8, "blue": 8},
            "rare": [],
        },
        {"name": "smiling", "column": "smiling", "values": {"no": 12, "yes": 4}, "rare": []},
    ]
    assert details["numbers"] == [
        {"name": "label_height", "column": "height", "least": 0, "greatest": 22.5}
    ]
    assert details["labels_left_out"] == [
        {"name": "caption", "reason": "16 different texts for 16 pictures"}
    ]
    preview = client.get(
        "/datasets/faces/preview.webp?label=label_height&value=high&count=2&size=16", headers=key
    )
    assert Image.open(io.BytesIO(preview.content)).size == (32, 16)
    wrong = client.get("/datasets/faces/preview.webp?label=label_height&value=x", headers=key)
    assert wrong.status_code == 422
    labels = ["hair_colour", "smiling", "label_height"]
    body = {"preset": "smoke", "dataset": "faces", "labels": labels}
    assert client.post("/train", json=body, headers=key).status_code == 202


@pytest.mark.parametrize(
    ("dataset", "label", "reason"),
    [
        pytest.param(
            "faces", "age_group", "it has hair_colour, label_height, smiling", id="unknown"
        ),
        pytest.param(
            "faces", "height_", "it has hair_colour, label_height, smiling", id="nearly a column"
        ),
        pytest.param("starter", "colour", "hair_colour", id="unknown to the starter"),
    ],
)
def test_unknown_labels_are_refused_before_a_run_exists(
    client: TestClient, key: dict[str, str], upload: Upload, dataset: str, label: str, reason: str
) -> None:
    upload(_labelled_zip())
    body = {"preset": "smoke", "dataset": dataset, "labels": [label]}
    answer = client.post("/train", json=body, headers=key)
    assert answer.status_code == 422
    assert label in answer.text
    assert reason in answer.text
    assert client.get("/train", headers=key).json()["runs"] == []


def test_what_is_left_out_is_counted_by_reason_and_named(
    client: TestClient, key: dict[str, str], upload: Upload
) -> None:
    files = {"a_jxl": b"x", "b_jxl": b"x", "notes_txt": b"x", "page_jpg": b"<html>"}
    answer = upload(_labelled_zip(**files))
    assert answer.status_code == 201
    assert answer.json()["images"] == 16
    left_out = {each["reason"]: each for each in answer.json()["left_out"]}
    assert left_out["JXL is not read"]["count"] == 2
    assert left_out["JXL is not read"]["examples"] == ["a.jxl", "b.jxl"]
    assert left_out["no picture by its name"]["examples"] == ["notes.txt"]
    (broken_files,) = [each for each in left_out.values() if each["examples"] == ["page.jpg"]]
    assert "not a picture" in broken_files["reason"]
    dataset_details = client.get(answer.headers["location"], headers=key).json()
    assert dataset_details["left_out"] == answer.json()["left_out"]
    assert dataset_details["near_duplicates"] == answer.json()["near_duplicates"]
    client.delete("/datasets/faces", headers=key)
    refusal = upload(_labelled_zip(**files), f"{ADDRESS}&strict=true")
    assert refusal.status_code == 422
    assert "page.jpg" in refusal.json()["detail"]


def test_a_broken_picture_counts_for_no_label(
    client: TestClient, key: dict[str, str], upload: Upload
) -> None:
    target = io.BytesIO(_zip(8, "hats/{}.png"))
    with zipfile.ZipFile(io.BytesIO(_zip(8))) as others, zipfile.ZipFile(target, "a") as archive:
        for number in range(8):
            archive.writestr(f"caps/{number}.png", others.read(others.namelist()[number]))
        archive.writestr("caps/broken.jpg", b"\xff\xd8\xff\xe0")
    assert upload(target.getvalue()).json()["images"] == 16
    details = client.get("/datasets/faces", headers=key).json()
    assert [each["values"] for each in details["labels"]] == [{"caps": 8, "hats": 8}]
    preview = client.get("/datasets/faces/preview.webp?label=class&value=caps&size=16", headers=key)
    assert Image.open(io.BytesIO(preview.content)).size == (128, 16)


def test_pictures_that_were_saved_again_are_near_duplicates(
    key: dict[str, str], upload: Upload
) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number in range(4):
            drawing = Image.fromarray(starter.render(number, 128))
            for kind in ("PNG", "JPEG") if number < 2 else ("PNG",):
                file = io.BytesIO()
                drawing.resize((128 - 20 * number,) * 2).save(file, kind)
                archive.writestr(f"{number}.{kind.lower()}", file.getvalue())
    alike = upload(target.getvalue()).json()["near_duplicates"]
    groups = [["0.jpeg", "0.png"], ["1.jpeg", "1.png"]]
    assert alike == {"looked": 6, "count": 2, "groups": groups}


def test_the_starters_labels_are_named(client: TestClient, key: dict[str, str]) -> None:
    names = [each["name"] for each in client.get("/datasets/starter", headers=key).json()["labels"]]
    assert sorted(names) == sorted(starter_attributes.attributes(0))


def test_the_same_upload_again_is_200_and_another_one_is_409(
    upload: Upload, settings: Settings
) -> None:
    digest = upload(_zip()).json()["digest"]
    assert upload(_zip()).status_code == 200
    assert upload(_zip(shade=9)).status_code == 409
    assert _files(settings) == [f"datasets/{digest}.zip"]


@pytest.mark.parametrize(
    ("content", "reason"),
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
    upload: Upload, settings: Settings, content: bytes, reason: str
) -> None:
    answer = upload(content)
    assert answer.status_code == 422
    assert reason in answer.json()["detail"]
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
def test_a_set_needs_a_name_and_a_licence(upload: Upload, settings: Settings, query: str) -> None:
    assert upload(_zip(), f"/datasets?{query}").status_code == 422
    assert _files(settings) == []


def test_the_refusal_of_a_form_says_how_to_upload(upload: Upload) -> None:
    answer = upload(b"--x", **{"content-type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 415
    assert "--data-binary" in answer.json()["detail"]


@pytest.mark.parametrize("is_streamed", [False, True])
def test_an_upload_above_the_limit_is_413_and_leaves_nothing(
    settings: Settings, registry: Registry, key: dict[str, str], is_streamed: bool
) -> None:
    small = settings.model_copy(update={"max_upload_bytes": 100})
    content = _zip()
    with TestClient(create_app(small)) as client:
        body = iter([content[:50], content[50:]]) if is_streamed else content
        answer = client.post(ADDRESS, content=body, headers=key)
    assert answer.status_code == 413
    assert "KAO_MAX_UPLOAD_BYTES" in answer.json()["detail"]
    assert _files(settings) == []


def test_an_interrupted_upload_leaves_nothing(
    start: Start, settings: Settings, registry: Registry, key: dict[str, str]
) -> None:
    live = start()
    host, port = live.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST {ADDRESS} HTTP/1.1\r\nHost: x\r\nAuthorization: {key['Authorization']}\r\n"
        connection.sendall((head + "Content-Length: 999999\r\n\r\n").encode() + b"x" * 1000)
        deadline = time.monotonic() + 30
        while not _files(settings):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    while _files(settings):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_dataset_in_use_cannot_be_deleted(
    client: TestClient, key: dict[str, str], upload: Upload, settings: Settings
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
    client: TestClient, key: dict[str, str], upload: Upload, settings: Settings
) -> None:
    digest = upload(_zip()).json()["digest"]
    assert upload(_zip(), ADDRESS.replace("faces", "more")).status_code == 201
    client.delete("/datasets/faces", headers=key)
    assert _files(settings) == [f"datasets/{digest}.zip"]
    client.delete("/datasets/more", headers=key)
    assert _files(settings) == []


def test_a_zip_that_is_uploaded_again_while_it_is_deleted_stays(
    client: TestClient,
    key: dict[str, str],
    upload: Upload,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Removing it from a bucket takes a while, in which other writers go on."""
    digest = upload(_zip()).json()["digest"]
    remove, statuses = Blobs.remove_names, []

    def upload_meanwhile(blobs: Blobs, names: list[str]) -> None:
        statuses.append(upload(_zip(), ADDRESS.replace("faces", "more")).status_code)
        remove(blobs, names)

    monkeypatch.setattr(Blobs, "remove_names", upload_meanwhile)
    assert client.delete("/datasets/faces", headers=key).status_code == 204
    assert statuses == [201]
    assert _files(settings) == [f"datasets/{digest}.zip"]
