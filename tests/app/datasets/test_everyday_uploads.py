"""Uploads with many pictures of no use, odd labels and equal files: what the answers say."""

import io
import json
import zipfile
from collections.abc import Mapping

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image
from starlette.testclient import TestClient

from models.database.engine import connect
from models.database.tables import datasets
from models.settings import Settings


def png(number: int, width: int = 16) -> bytes:
    """A picture of its own, 16 pixels high."""
    pixels = np.random.default_rng(number).integers(0, 255, (16, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


PICTURES = {f"{'cap' if number % 2 else 'hat'}/{number:04}.png": png(number) for number in range(8)}


def zip_of(files: Mapping[str, str | bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return target.getvalue()


def upload(
    client: TestClient, key: dict[str, str], files: Mapping[str, str | bytes]
) -> dict[str, object]:
    """Upload the files as the dataset `faces`. Returns the answer."""
    answer = client.post("/datasets?name=faces", content=zip_of(files), headers=key)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def labels_of(client: TestClient, key: dict[str, str]) -> list[dict[str, int]]:
    details = client.get("/datasets/faces", headers=key).json()
    return [label["values"] for label in details["labels"]]


@pytest.fixture
def broken_files() -> dict[str, bytes]:
    """More files of no use than a report once had names for, in a class of their own."""
    return {f"bowler/{number:04}.png": b"no picture" for number in range(1100)}


def test_all_pictures_of_no_use_count_for_no_label(
    client: TestClient, key: dict[str, str], broken_files: dict[str, bytes]
) -> None:
    assert upload(client, key, {**broken_files, **PICTURES})["images"] == 8
    assert labels_of(client, key) == [{"hat": 4, "cap": 4}]


def test_a_report_with_names_of_an_older_version_is_read(
    client: TestClient, settings: Settings, key: dict[str, str], broken_files: dict[str, bytes]
) -> None:
    upload(client, key, {**broken_files, **PICTURES})
    engine = connect(settings)
    with engine.begin() as db:
        report: dict[str, object] = db.execute(sa.select(datasets.c.report)).scalar_one()
        assert report["unreadable"] == list(range(1100))
        report["unreadable"] = [*broken_files]
        db.execute(sa.update(datasets).values(report=report))
    engine.dispose()
    assert labels_of(client, key) == [{"hat": 4, "cap": 4}]


def test_pictures_of_many_wrong_sizes_have_one_reason(
    client: TestClient, key: dict[str, str]
) -> None:
    small = {f"small/{width}.png": png(width, width) for width in range(1, 8)}
    cut = {f"cut/{number}.png": png(number)[: 300 + number] for number in range(9)}
    left_out = upload(client, key, {**PICTURES, **small, **cut})["left_out"]
    assert isinstance(left_out, list)
    assert sorted((each["count"], each["reason"]) for each in left_out) == [
        (7, "fewer than 8 pixels on a side"),
        (9, "cannot be decoded: image file is truncated"),
    ]


def test_pictures_that_are_damaged_in_the_zip_have_one_reason(
    client: TestClient, key: dict[str, str]
) -> None:
    content = bytearray(zip_of(PICTURES))
    for name in list(PICTURES)[:3]:
        content[content.find(PICTURES[name]) + 60] ^= 0xFF
    answer = client.post("/datasets?name=faces", content=bytes(content), headers=key)
    (reason,) = answer.json()["left_out"]
    assert (reason["count"], reason["reason"]) == (3, "damaged in the archive")


def test_a_column_whose_name_cannot_be_stored_is_shown(
    client: TestClient, key: dict[str, str]
) -> None:
    rows = [json.dumps({"file_name": name, "a\ud800": "x"}) for name in PICTURES]
    upload(client, key, {**PICTURES, "metadata.jsonl": "\n".join(rows)})
    details = client.get("/datasets/faces", headers=key)
    assert details.status_code == 200
    assert details.json()["labels_left_out"] == [{"name": "a\ufffd", "reason": "one value only"}]


def test_a_group_of_equal_pictures_names_twenty(client: TestClient, key: dict[str, str]) -> None:
    upload(client, key, {f"{number:03}.png": png(0) for number in range(100)})
    contents = client.get("/datasets/faces/contents", headers=key).json()
    assert contents["duplicates"] == 99
    assert contents["groups"] == [[f"{number:03}.png" for number in range(20)]]


@pytest.mark.parametrize("page", ["preview.webp", "contents"])
def test_the_built_in_set_has_no_preview_and_says_why(
    client: TestClient, key: dict[str, str], page: str
) -> None:
    answer = client.get(f"/datasets/starter/{page}", headers=key)
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith(
        "'starter' is drawn for each run, so it has no preview and no contents. GET /datasets"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(zip_of(PICTURES)[:2000], "its end is missing", id="cut short"),
        pytest.param(
            zip_of({"\u00e9.png": png(0), **PICTURES}).replace(b"\xc3\xa9", b"\xff\xff"),
            "a name that is marked as UTF-8 is not",
            id="a name that is no UTF-8",
        ),
    ],
)
def test_the_refusal_of_a_spoilt_zip_has_no_words_of_pythons(
    client: TestClient, key: dict[str, str], content: bytes, reason: str
) -> None:
    answer = client.post("/datasets?name=faces", content=content, headers=key)
    assert answer.status_code == 422
    assert f"({reason}); zip the pictures again" in answer.json()["detail"]


def test_a_label_has_its_columns_own_name(client: TestClient, key: dict[str, str]) -> None:
    rows = [f"{name},{number % 2},{number / 4},red" for number, name in enumerate(PICTURES)]
    table = "\n".join(["file_name,\u9aea,\u5e74\u9f62,hat", *rows])
    upload(client, key, {**PICTURES, "metadata.csv": table})
    details = client.get("/datasets/faces", headers=key).json()
    assert [(each["name"], each["column"]) for each in details["labels"]] == [("label", "\u9aea")]
    assert [each["column"] for each in details["numbers"]] == ["\u5e74\u9f62"]
