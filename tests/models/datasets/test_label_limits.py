"""Files of labels that would take much memory or time, and files that are no tables."""

import json
import time
import tracemalloc

import pytest

from models.datasets import label_files, labels
from tests.models.datasets.test_everyday_labels import HATS, NAMES, jsonl, lines, read, table


@pytest.mark.parametrize(
    ("file", "text"),
    [
        pytest.param("metadata.csv", table(), id="csv"),
        pytest.param("metadata.jsonl", lines(jsonl(hat=HATS)), id="lines"),
        pytest.param("metadata.jsonl", json.dumps(jsonl(hat=HATS)), id="list"),
        pytest.param(
            "dataset.json", json.dumps({"labels": [[name, 1] for name in NAMES]}), id="stylegan"
        ),
    ],
)
def test_a_table_of_more_rows_than_a_set_has_is_refused(
    monkeypatch: pytest.MonkeyPatch, file: str, text: str
) -> None:
    monkeypatch.setattr(label_files, "MOST_ROWS", 10)
    (left_out,) = read(text, file).unreadable
    assert left_out.reason == "cannot be read: it has more than 10 rows"


def test_lists_within_rows_are_limited_before_they_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(label_files, "MOST_ROWS", 20)
    rows = lines(jsonl(boxes=[[[]] * 9] * 16))
    (left_out,) = read(rows, "metadata.jsonl").unreadable
    assert left_out.reason == "cannot be read: it has more than 80 lists and objects"


def test_short_rows_of_a_wide_table_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row takes memory for every column: 125 kB of such a table took 1 GB and 86 s."""
    monkeypatch.setattr(label_files, "MOST_CELLS", 1000)
    text = "\n".join([",".join(["file_name", *(f"c{n}" for n in range(99))]), *NAMES])
    (left_out,) = read(text).unreadable
    assert left_out.reason == "cannot be read: it has more than 1,000 cells; take columns away"


def test_a_thousand_columns_are_looked_at() -> None:
    row = {"file_name": NAMES[0], **{f"c{number}": 1 for number in range(2000)}}
    names = [*NAMES, *(f"more/{number}.png" for number in range(50_000))]
    start = time.process_time()
    left_out = labels.read_usable(names, {"metadata.jsonl": json.dumps(row).encode}).left_out
    assert time.process_time() - start < 10  # each column of each picture: 50 s
    assert len(left_out) == labels.MOST_COLUMNS + 1
    assert (left_out[0].name, left_out[0].reason) == ("c1000", "more than 1,000 columns")


def test_a_table_in_each_folder_does_not_search_all_pictures_again() -> None:
    """A table with a row of no picture took 0.15 s for 20,000 pictures, and a set has thousands."""
    names = [f"{folder}/{number}.png" for folder in range(1000) for number in range(20)]
    rows = "file_name,hat\n0.png,cap\n1.jpg,crown\nnone.png,cap\n"
    tables = {f"{folder}/metadata.csv": rows.encode for folder in range(1000)}
    start = time.process_time()
    label_table = labels.read_usable(names, tables)
    assert time.process_time() - start < 20
    assert [each.reason for each in label_table.left_out[:2]] == [
        "90 % of the pictures have no value", "1 of 3 rows names no picture: 'none.png'"
    ]  # fmt: skip
    assert label_table.left_out[-1].name == "900 more files"


def test_deep_folders_take_little_memory() -> None:
    """A thousand pictures below 480 folders, which a zip may have, took 300 MB."""
    deep = "/".join(["a"] * 480)
    names = [f"{deep}/{name}" for name in NAMES]
    tracemalloc.start()
    label_table = read(table(files=[f"a/a/{name}" for name in NAMES]), names=names)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert label_table.attributes == {"hat": HATS}
    assert peak < 1 << 20


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        pytest.param(b"", "an empty file", id="empty"),
        pytest.param(bytes(64), "null bytes", id="null bytes, of a disk that was full"),
        pytest.param(b"PK\x03\x04" + bytes(60), "a zip or a spreadsheet", id="xlsx"),
        pytest.param(b"\n <!DOCTYPE html><title>404</title>", "a page of the web", id="html"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS",
                     id="lfs"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_named(data: bytes, kind: str) -> None:
    (left_out,) = read(data).unreadable
    assert left_out.reason == f"cannot be read: it is {kind}, not a table"


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("dataset.json", '{"labels": 5}', "its labels are no list"),
        ("dataset.json", "[1]", "it is no object"),
        ("dataset.json", "[" * 100_000, "it is nested too deeply"),
        ("metadata.jsonl", "[[1], [2]]", "a row is no object; write each row as a JSON object"),
        ("metadata.jsonl", '{\n"file_name": "00.png"\n}', "on a line of its own"),
        ("metadata.csv", "# of mine\n" + table(), "more fields than its first line, '# of mine'"),
        ("metadata.csv", table(values=["1,5", "2,5"] * 8), "quotation marks around values"),
    ],
)
def test_the_reason_says_what_to_do(file: str, text: str, reason: str) -> None:
    assert reason in read(text, file).unreadable[0].reason


def test_commas_in_the_text_of_the_last_column_leave_the_others_alone() -> None:
    values = [f"{hat},a {hat}{', red' * (1 + place % 3)}" for place, hat in enumerate(HATS)]
    label_table = read(table(values=values).replace("hat", "hat,caption", 1))
    assert label_table.attributes["hat"] == HATS
    assert "16 rows have more fields" in label_table.left_out[-1].reason


def test_decimal_commas_in_some_columns_are_named() -> None:
    values = [f"{place},{place},5,{hat}" + ",5" * (place % 2) for place, hat in enumerate(HATS)]
    text = table(values=values).replace("hat", "age,height,hat", 1)
    assert "quotation marks around values" in read(text).unreadable[0].reason


def test_utf_16_that_was_cut_short_is_named() -> None:
    (left_out,) = read(table().encode("utf-16")[:-1]).unreadable
    assert left_out.reason == "cannot be read: it is not UTF-8; save it as such"


def test_excels_line_of_the_tab_is_read() -> None:
    assert read("sep=\t\n" + table("\t")).attributes == {"hat": HATS}
