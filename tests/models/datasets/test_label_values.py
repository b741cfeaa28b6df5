"""Values of labels as people, spreadsheets and their programs write them."""

import json

import pytest

from models.datasets import labels
from tests.models.datasets.test_everyday_labels import HATS, NAMES, jsonl, lines, read, table


@pytest.mark.parametrize(
    ("form", "greatest"),
    [
        pytest.param("1'0{n:02}", 1015, id="Switzerland"),
        pytest.param("1\u202f0{n:02}", 1015, id="France"),
        pytest.param("\u2212{n}", 0, id="a minus sign"),
        pytest.param("{n} %", 15, id="percent"),
    ],
)
def test_a_number_may_be_written_in_any_country(form: str, greatest: float) -> None:
    numbers = read(table("\t", values=[form.format(n=n) for n in range(16)])).numbers["hat"]
    assert max(number for number in numbers if number is not None) == greatest


def test_texts_that_hold_numbers_stay() -> None:
    values = ["size 1'000", "size 50%"] * 8
    assert read(table(values=values)).attributes == {"hat": values}


@pytest.mark.parametrize(
    "error", ["#DIV/0!", "#N/V", "#NV", "#WERT!", "#\u00a1DIV/0!", "#\u540d\u79f0?", "NaT", "\\N"]
)
def test_an_error_of_a_spreadsheet_is_no_value(error: str) -> None:
    label_table = read(table(values=[error, *HATS[1:]]))
    assert label_table.attributes == {"hat": [labels.UNLABELLED, *HATS[1:]]}


def test_a_colour_in_hexadecimal_is_a_value() -> None:
    values = ["#FAB", "#c0ffee"] * 8
    assert read(table(values=values)).attributes == {"hat": values}


@pytest.mark.parametrize(
    ("variant", "value"),
    [
        pytest.param("top  hat", "top hat", id="two spaces"),
        pytest.param("\uff54\uff4f\uff50 hat", "top hat", id="full width, of a Japanese keyboard"),
        pytest.param("\u200btop hat\ufeff", "top hat", id="what a web page leaves around it"),
        pytest.param("top\u00a0hat", "top hat", id="a space that does not break"),
    ],
)
def test_spellings_that_look_alike_are_one_value(variant: str, value: str) -> None:
    label_table = read(table(values=[variant, value, value, "cap"] * 4))
    assert label_table.counts() == {"hat": {value: 12, "cap": 4}}


def test_a_joiner_within_a_word_stays() -> None:
    """Persian writes U+200C within words, and emoji are joined by U+200D."""
    values = ["\u0646\u06cc\u0645\u200c\u0631\u062e", "\U0001f469\u200d\U0001f3a8"] * 8
    assert read(table(values=values)).attributes == {"hat": values}


def test_what_cannot_be_shown_or_stored_is_in_no_label() -> None:
    """A name of a column with half of a character was a 500 of GET /datasets/NAME."""
    values = ["red\ud800", "blue\x1b[31m"] * 8
    rows = [{**row, "c\udce9\x07": "x"} for row in jsonl(hat=values)]
    label_table = read("\n".join(map(json.dumps, rows)), "metadata.jsonl")
    assert label_table.attributes == {"hat": ["red\ufffd", "blue[31m"] * 8}
    assert [each.name for each in label_table.left_out] == ["c\ufffd"]
    folders = [f"{folder}/{number}.png" for number in range(8) for folder in ("caf\udce9", "tea")]
    assert set(labels.read(folders, {}).attributes["class"]) == {"caf\ufffd", "tea"}


@pytest.mark.parametrize("form", ["{n}", "{n}.0", "img/{n}"])
def test_numbers_without_their_zeros_find_their_pictures(form: str) -> None:
    """Spreadsheets and pandas save 007 as 7 or 7.0."""
    folder = "img/" if form.startswith("img/") else ""
    names = [f"{folder}{number:04}.png" for number in range(16)]
    files = [form.format(n=number) for number in range(16)]
    assert read(table(files=files), names=names).attributes == {"hat": HATS}


def test_a_number_that_two_pictures_have_names_none() -> None:
    names = [*NAMES, "001.png"]
    note = read(table(files=["1.0", *NAMES[2:]], values=HATS[:15]), names=names).left_out[-1]
    assert note.reason == "1 of 15 rows names no picture: '1.0'"


def test_the_query_of_an_address_is_ignored() -> None:
    files = [f"https://example.org/faces/{name}?width=64#top" for name in NAMES]
    assert read(table(files=files)).attributes == {"hat": HATS}


def test_lines_of_json_keep_their_numbers_beyond_pythons() -> None:
    rows = lines(jsonl(hat=HATS)).replace('"hat"', f'"n": {"9" * 5000}, "hat"')
    assert read(rows, "metadata.jsonl").attributes == {"hat": HATS}
