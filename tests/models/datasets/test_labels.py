"""Labels as people's folders have them become attributes, or are left out with a reason."""

import json
from collections.abc import Callable, Sequence

import pytest

from models.datasets import labels
from models.datasets.labels import LabelTable
from models.errors import DatasetError, InvalidRecipe

COLOURS = ["red", "blue", "red", "green"]
NAMES = [f"{number:02}.png" for number in range(16)]


def reader(text: str) -> Callable[[], bytes]:
    return lambda: text.encode()


def table(text: str, file: str = "metadata.csv", names: list[str] = NAMES) -> LabelTable:
    return labels.read(names, {file: reader(text)})


def csv(**columns: Sequence[object]) -> str:
    lines = [",".join(["file_name", *columns])]
    for place, name in enumerate(NAMES):
        lines.append(",".join([name, *(str(values[place]) for values in columns.values())]))
    return "\n".join(lines)


def test_hugging_faces_csv_has_labels() -> None:
    label_table = table("\ufeff" + csv(Colour=COLOURS * 4, smiling=["True", "False"] * 8))
    assert label_table.attributes == {"colour": COLOURS * 4, "smiling": ["yes", "no"] * 8}
    assert label_table.counts()["colour"] == {"red": 8, "blue": 4, "green": 4}
    assert label_table.left_out == []


def test_hugging_faces_jsonl_in_the_folder_of_a_split() -> None:
    names = [f"train/{name}" for name in NAMES]
    rows = [{"file_name": name, "hat": place % 2 == 0} for place, name in enumerate(NAMES)]
    text = "\n".join(json.dumps(row) for row in rows)
    assert table(text, "train/metadata.jsonl", names).attributes == {"hat": ["yes", "no"] * 8}


@pytest.mark.parametrize("form", ["number", "one-hot"])
def test_stylegans_json_has_labels(form: str) -> None:
    names = [f"00000/{name}" for name in NAMES]
    codes = [place % 3 for place in range(16)]
    rows = [code if form == "number" else [int(n == code) for n in range(3)] for code in codes]
    text = json.dumps({"labels": [list(pair) for pair in zip(names, rows, strict=True)]})
    expected = [f"class {code}" for code in codes]
    assert table(text, "dataset.json", names).attributes == {"label": expected}


def test_stylegans_json_without_labels_makes_no_class_of_its_folders() -> None:
    names = [f"{place % 2:05}/{name}" for place, name in enumerate(NAMES)]
    assert table('{"labels": null}', "dataset.json", names) == LabelTable()
    assert labels.read(names, {}) == LabelTable()


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        pytest.param(["cat", "dog"], ["cat", "dog"], id="a folder for each class"),
        pytest.param(["set/cat", "set/dog"], ["cat", "dog"], id="in one more folder"),
        pytest.param(["train/cat", "test/dog"], ["cat", "dog"], id="below splits"),
        pytest.param(["train", "val"], None, id="splits alone"),
        pytest.param(["all", "all"], None, id="one folder"),
    ],
)
def test_folders_that_differ_are_classes(folders: list[str], expected: list[str] | None) -> None:
    names = [f"{folders[place % 2]}/{name}" for place, name in enumerate(NAMES)]
    attributes = labels.read(names, {}).attributes
    assert attributes == ({"class": expected * 8} if expected else {})


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        pytest.param([1, *["nan"] * 15], "94 % of the pictures have no value", id="not finite"),
        pytest.param(['"[1, 2]"', '"[3, 4]"'] * 8, "nested values", id="nested"),
        pytest.param([f"text {n}" for n in range(16)], "16 different texts", id="captions"),
        pytest.param(["same"] * 16, "one value only", id="constant"),
        pytest.param(["red", "", "", ""] * 4, "75 % of the pictures have no value", id="missing"),
    ],
)
def test_what_is_left_out_says_why(values: list[object], reason: str) -> None:
    label_table = table(csv(odd=values, colour=COLOURS * 4))
    assert list(label_table.attributes) == ["colour"]
    assert [each.name for each in label_table.left_out] == ["odd"]
    assert reason in label_table.left_out[0].reason


def test_a_column_of_numbers_becomes_a_slider() -> None:
    halves = [0.5 * n for n in range(15)]
    label_table = table(csv(Age=["nan", *halves], colour=COLOURS * 4))
    assert label_table.numbers == {"label_age": [None, *halves]}
    assert label_table.ranges() == {"label_age": (0, 7)}
    assert label_table.left_out == []
    content = label_table.to_json(NAMES, [NAMES[1], NAMES[0]])
    assert content["numbers"] == {"label_age": [0, None]}
    labels.check_names(["label_age", "colour"], label_table, "faces")
    with pytest.raises(InvalidRecipe) as error:  # a number conditions nothing
        labels.check_names(["colour"], label_table, "faces", hidden_names=["label_age"])
    assert error.value.problems[0]["field"] == "hidden_labels"


def test_texts_with_underscores_are_no_numbers() -> None:
    values = ["0_15", "1_30", "1_30", "0_15"] * 4
    label_table = table(csv(pose=values))
    assert label_table.numbers == {}
    assert label_table.attributes["pose"] == values


def test_folders_that_are_called_by_numbers_are_classes() -> None:
    names = [f"{place % 3}/{name}" for place, name in enumerate(NAMES)]
    label_table = labels.read(names, {})
    assert label_table.counts() == {"class": {"class 0": 6, "class 1": 5, "class 2": 5}}
    assert label_table.numbers == {}


def test_a_few_pictures_without_a_value_are_unlabelled() -> None:
    label_table = table(csv(colour=[*(COLOURS * 4)[:15], ""]))
    assert label_table.attributes["colour"][-1] == labels.UNLABELLED


def test_names_become_parameters_and_none_that_has_a_meaning() -> None:
    text = csv(**{"Hair Colour!": COLOURS * 4, "size": COLOURS * 4, "hair-colour": COLOURS * 4})
    expected = ["hair_colour", "label_size", "hair_colour_2"]
    assert list(table(text).attributes) == expected


def test_accents_in_a_columns_name_are_dropped() -> None:
    text = csv(Haarlänge=COLOURS * 4, 髪色=COLOURS * 4)
    assert list(table(text).attributes) == ["haarlange", "label"]


def test_rows_of_no_picture_are_ignored_and_backslashes_read() -> None:
    names = [f"a/{name}" for name in NAMES]
    text = csv(colour=COLOURS * 4).replace("\n", "\na\\") + "\na\\gone.png,black"
    assert table(text, names=names).counts() == {"colour": {"red": 8, "blue": 4, "green": 4}}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("metadata.csv", "name,colour\na.png,red"),
        ("metadata.jsonl", '{"file_name": "a.png"'),
        ("metadata.jsonl", "[" * 100_000),
        ("dataset.json", '{"labels": [1, 2]}'),
        ("dataset.json", "[]"),
    ],
)
def test_a_spoilt_file_is_named(file: str, text: str) -> None:
    with pytest.raises(DatasetError, match=f"{file}.* cannot be read"):
        table(text, file)


def test_packed_codes_are_those_of_the_pictures_that_were_kept() -> None:
    names = [NAMES[0], NAMES[3], NAMES[5]]
    content = table(csv(colour=COLOURS * 4)).to_json(NAMES, names)
    assert content == {
        "attributes": {"colour": {"values": ["blue", "green", "red"], "codes": [2, 1, 0]}}
    }
