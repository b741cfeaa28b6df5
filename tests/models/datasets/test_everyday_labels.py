"""Tables of labels as spreadsheets, pandas and people write them, each after a public report."""

import json
import unicodedata
from collections.abc import Sequence

import pytest

from models.datasets import labels
from models.datasets.labels import LabelTable
from models.errors import DatasetError, InvalidRecipe

NAMES = [f"{number:02}.png" for number in range(16)]
HATS = ["cap", "crown"] * 8


def read(text: str | bytes, file: str = "metadata.csv", names: Sequence[str] = NAMES) -> LabelTable:
    data = text if isinstance(text, bytes) else text.encode()
    return labels.read_usable(names, {file: lambda: data})


def table(
    delimiter: str = ",",
    column: str = "file_name",
    files: Sequence[str] = NAMES,
    values: Sequence[object] = HATS,
    end: str = "\n",
) -> str:
    rows = [f"{file}{delimiter}{value}" for file, value in zip(files, values, strict=True)]
    return end.join([f"{column}{delimiter}hat", *rows])


def jsonl(files: Sequence[str] = NAMES, **columns: Sequence[object]) -> list[dict[str, object]]:
    return [
        {"file_name": file, **{name: values[place] for name, values in columns.items()}}
        for place, file in enumerate(files)
    ]


def lines(rows: Sequence[object]) -> str:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(table(";"), id="semicolons: Excel in most of Europe, pandas#16102"),
        pytest.param("sep=;\n" + table(";"), id="Excel's own first line"),
        pytest.param(table("\t"), id="tabs"),
        pytest.param(table("|"), id="bars"),
        pytest.param(table(", "), id="a space after each comma"),
        pytest.param(
            "\n,,\n" + table(), id="blank rows before the first: a sheet's empty first row"
        ),
        pytest.param(table(end="\r\n"), id="Windows' ends of lines"),
        pytest.param(table(end="\r"), id="the ends of lines of Excel for Mac"),
        pytest.param(table("\t").encode("utf-16"), id="Excel's Unicode text"),
        pytest.param(table().encode("utf-16-le"), id="UTF-16 without a mark"),
        pytest.param("\ufeff" + table(";"), id="a mark and semicolons"),
        pytest.param(table() + "\n\n,\n  ,\n", id="blank rows at the end"),
        pytest.param(table().replace("cap", '"cap"'), id="quoted values"),
        pytest.param(table().replace("cap", "Cap", 3), id="capitals that differ"),
        pytest.param(table() + "\0", id="a null at the end"),
    ],
)
def test_a_spreadsheets_table_is_read(data: str | bytes) -> None:
    assert read(data).attributes == {"hat": HATS}


def test_western_windows_is_read_and_another_encoding_is_named() -> None:
    values = ["béret", "crête"] * 8
    assert read(table(values=values).encode("cp1252")).attributes == {"hat": values}
    assert "not UTF-8" in read(table(values=["帽子", "王冠"] * 8).encode("gbk")).left_out[0].reason


def test_a_decimal_comma_is_a_number_between_semicolons() -> None:
    numbers = read(table(";", values=[f"{n},5" for n in range(16)])).numbers
    assert numbers == {"hat": [n + 0.5 for n in range(16)]}


@pytest.mark.parametrize(
    ("delimiter", "form"),
    [
        pytest.param("\t", "{n},5", id="Excel's Unicode text"),
        pytest.param(",", '"{n},5"', id="quoted between commas, sqlitebrowser#2140"),
        pytest.param(";", "{n}.000,50", id="thousands too, Aternus/csv-to-xlsx#27"),
    ],
)
def test_a_decimal_comma_is_a_number_in_other_tables(delimiter: str, form: str) -> None:
    numbers = read(table(delimiter, values=[form.format(n=n + 1) for n in range(16)])).numbers
    assert numbers == {
        "hat": [float((n + 1) * (1000 if "." in form else 1)) + 0.5 for n in range(16)]
    }


def test_commas_of_thousands_are_no_decimal_ones() -> None:
    label_table = read(table(values=[f'"{n + 1},500"' for n in range(16)]))
    assert (label_table.numbers, label_table.attributes) == ({}, {})


def test_two_columns_of_one_name_are_two_labels() -> None:
    rows = [
        f"{name},{hat},{'ab'[place // 8]}"
        for place, (name, hat) in enumerate(zip(NAMES, HATS, strict=True))
    ]
    label_table = read("\n".join(["file_name,hat,hat", *rows]))
    assert label_table.attributes == {"hat": HATS, "hat_2": ["a"] * 8 + ["b"] * 8}


def test_a_quotation_mark_that_is_never_closed_is_named() -> None:
    """cldf/csvw#52, apple/turicreate#1692: all rows after it were part of one text."""
    label_table = read(table().replace("05.png,", '05.png,"'))
    assert (
        "a quotation mark of the row '05.png,\"crown' is never closed"
        in label_table.left_out[0].reason
    )


def test_a_comma_too_many_is_counted() -> None:
    label_table = read(table().replace("05.png,crown", "05.png,crown, large"))
    assert label_table.attributes == {"hat": HATS}
    assert (
        label_table.left_out[0].reason == "1 row has more fields than the first line, as '05.png'"
    )


@pytest.mark.parametrize("mark", ["x", "X", "\u2713"])
def test_what_is_ticked_off_is_a_boolean(mark: str) -> None:
    values = [mark if place % 2 else "" for place in range(16)]
    assert read(table(values=values)).attributes == {"hat": ["no", "yes"] * 8}
    with_lost_rows = read(table(values=values), names=[*NAMES, "lost.png"])
    assert with_lost_rows.attributes["hat"][-1] == labels.UNLABELLED


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        pytest.param("split", ["train", "test"] * 8, "parts of the set (train, test …)",
                     id="Hugging Face's splits"),
        pytest.param("id", range(100, 116), "a number for each picture", id="a database's keys"),
        pytest.param("No", range(16), "a number for each picture", id="rows that were counted"),
    ],
)  # fmt: skip
def test_what_says_nothing_of_a_face_is_no_label(
    column: str, values: Sequence[object], reason: str
) -> None:
    label_table = read(table(values=values).replace("hat", column))
    assert not label_table
    assert [each.reason for each in label_table.left_out] == [reason]


@pytest.mark.parametrize("column", ["label", "Class_ID", "category"])
def test_numbers_of_classes_are_no_quantities(column: str) -> None:
    """As `dataset.json` has them, and tables that are exported from Hugging Face's ClassLabel."""
    label_table = read(table(values=[0, 1, 2, 10] * 4).replace("hat", column))
    assert list(label_table.attributes.values()) == [
        ["class 0", "class 1", "class 2", "class 10"] * 4
    ]
    assert not label_table.numbers
    assert read(table(values=[0, 1] * 8).replace("hat", column)).attributes.popitem()[1][0] == "no"


def test_fields_of_objects_are_columns() -> None:
    """As in exports of Hugging Face's datasets, huggingface/dataset-viewer#48."""
    faces = [{"hat": hat, "size": place, "boxes": [1]} for place, hat in enumerate(HATS)]
    label_table = read(lines(jsonl(face=faces)), "metadata.jsonl")
    assert label_table.attributes == {"face_hat": HATS}
    assert label_table.numbers == {"face_size": [float(place) for place in range(16)]}
    assert [each.name for each in label_table.left_out] == ["face.boxes"]


def test_letters_that_are_two_in_ascii_stay() -> None:
    assert list(read(table().replace("hat", "Größe")).attributes) == ["grosse"]


@pytest.mark.parametrize(
    "column",
    [
        *("File_Name", "FILENAME", " file_name ", "file name", "file", "image", "path", "img"),
        *("image_path", "image_id", "ImageName", "Dateiname", "文件名", "id"),
    ],
)
def test_the_column_of_files_may_have_any_name(column: str) -> None:
    assert read(table(column=column)).attributes == {"hat": HATS}


@pytest.mark.parametrize(
    ("pictures", "files"),
    [
        pytest.param(NAMES, [name.upper() for name in NAMES], id="capitals"),
        pytest.param(NAMES, [name[:-4] for name in NAMES], id="without extension"),
        pytest.param(NAMES, [f"{name[:-4]}.jpg" for name in NAMES], id="converted since"),
        pytest.param(NAMES, [f"/{name}" for name in NAMES], id="a slash before"),
        pytest.param(NAMES, [f"././{name}" for name in NAMES], id="dots before"),
        pytest.param(NAMES, [f"C:\\Users\\me\\faces\\{name}" for name in NAMES], id="Windows"),
        pytest.param(NAMES, [f"/home/me/faces/{name}" for name in NAMES], id="an absolute path"),
        pytest.param(NAMES, [f"file:///home/me/{name}" for name in NAMES], id="an address"),
        pytest.param([f"img/{name}" for name in NAMES], NAMES, id="moved into a folder"),
        pytest.param([f"a b {n}" for n in NAMES], [f"a%20b%20{n}" for n in NAMES], id="escaped"),
        pytest.param([f"é{n}" for n in NAMES], [f"e\u0301{n}" for n in NAMES], id="NFC and NFD"),
    ],
)
def test_rows_find_their_pictures(pictures: list[str], files: list[str]) -> None:
    label_table = read(table(files=files), names=pictures)
    assert label_table.attributes == {"hat": HATS}
    assert label_table.left_out == []


def test_a_row_that_might_mean_two_pictures_means_none() -> None:
    pictures = [f"{folder}/{name}" for folder in ("a", "b") for name in NAMES[:8]]
    reasons = [each.reason for each in read(table(), names=pictures).left_out]
    assert any("16 of 16 rows name no picture: '00.png', '01.png'" in each for each in reasons)
    rows = table(files=[f"test/{name}" for name in NAMES])
    assert not read(rows, names=[f"train/{name}" for name in NAMES]).attributes


def test_what_is_not_used_of_a_table_is_counted() -> None:
    rows = f"{table()}\n,lost\ngone.png,cap\n00.png,crown"
    label_table = read(rows)
    assert label_table.attributes["hat"] == ["crown", *HATS[1:]]
    assert [(each.name, each.reason) for each in label_table.left_out] == [
        ("metadata.csv", "1 row without a file's name"),
        ("metadata.csv", "1 of 18 rows names no picture: 'gone.png'"),
        ("metadata.csv", "1 picture has rows that differ, as '00.png'; the last one counts"),
    ]


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        pytest.param("null", "line 17 is no object", id="null"),
        pytest.param('["a"]', "line 17 is no object", id="list"),
        pytest.param('{"file_name": "a.png", "ha', "line 17: Unterminated", id="cut short"),
        pytest.param("{'file_name': 'a.png'}", "line 17: Expecting", id="Python's quotes"),
    ],
)
def test_one_broken_line_spoils_no_other(odd: str, reason: str) -> None:
    label_table = read(f"{lines(jsonl(hat=HATS))}\n{odd}", "metadata.jsonl")
    assert label_table.attributes == {"hat": HATS}
    assert reason in label_table.left_out[0].reason


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(json.dumps(jsonl(hat=HATS), indent=1), id="a list of objects"),
        pytest.param(lines(jsonl(hat=HATS)).replace("}", "},"), id="commas after objects"),
        pytest.param(lines(jsonl(hat=HATS, text=["a\u2028b\x85"] * 16)), id="U+2028 in a text"),
        pytest.param(lines(jsonl(hat=HATS, boxes=[{"x": [1]}, None] * 8)), id="nested and null"),
    ],
)
def test_json_lines_as_programs_write_them(text: str) -> None:
    assert read(text, "metadata.jsonl").attributes == {"hat": HATS}


@pytest.mark.parametrize(
    "pair",
    [
        *(("True", "False"), ("T", "F"), ("on", "off"), ("Yes", "NO"), ("Y", "n")),
        *(("1.0", "0.0"), ("+1", "-1"), ("1", "-1"), ("1.0", "-1.0")),
    ],
)
def test_booleans_in_many_spellings(pair: tuple[str, str]) -> None:
    assert read(table(values=pair * 8)).attributes == {"hat": ["yes", "no"] * 8}


def test_three_numbers_are_no_boolean() -> None:
    assert read(table(values=[-1, 0, 1, 0] * 4)).numbers == {"hat": [-1, 0, 1, 0] * 4}


@pytest.mark.parametrize("missing", ["NaN", "null", "N/A", "#N/A", "<NA>", "NA", " "])
def test_a_missing_value_is_no_value(missing: str) -> None:
    assert read(table(values=[missing, *HATS[1:]])).attributes["hat"][0] == labels.UNLABELLED
    assert read(table(values=[missing, *range(15)])).numbers == {"hat": [None, *range(15)]}


def test_the_numbers_of_rows_are_no_label() -> None:
    for name in ("", "Unnamed: 0"):
        first, *rows = table().split("\n")
        numbered_rows = [f"{name},{first}", *(f"{number},{row}" for number, row in enumerate(rows))]
        label_table = read("\n".join(numbered_rows))
        assert (label_table.attributes, label_table.numbers) == ({"hat": HATS}, {})


def test_a_table_without_a_header_says_so() -> None:
    assert "first line names a picture" in read(table().partition("\n")[2]).left_out[0].reason


@pytest.mark.parametrize("name", ["v", "ref", "seed", "model", "psi", "format", "t", "ts"])
def test_a_column_that_means_something_in_addresses_is_renamed(name: str) -> None:
    assert list(read(table().replace("hat", name)).attributes) == [f"label_{name}"]


CODED = list(zip(NAMES, [*[1] * 15, 0], strict=True))


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([[name, str(code)] for name, code in CODED], id="digits"),
        pytest.param([[name, float(code)] for name, code in CODED], id="1.0"),
        pytest.param([[name, [1.0 - n, 1.0 * n]] for name, n in CODED], id="one-hot"),
        pytest.param(dict(CODED), id="an object"),
        pytest.param([["x"], *([name, code] for name, code in CODED)], id="spoilt"),
    ],
)
def test_stylegans_classes_in_every_form(entries: object) -> None:
    label_table = read(json.dumps({"labels": entries}), "dataset.json")
    assert label_table.attributes == {"label": [*["class 1"] * 15, "class 0"]}


def test_another_programs_dataset_json_leaves_class_folders() -> None:
    names = [f"{('cat', 'dog')[place % 2]}/{name}" for place, name in enumerate(NAMES)]
    label_table = read('{"name": "pets", "version": 1}', "dataset.json", names)
    assert label_table.counts() == {"class": {"cat": 8, "dog": 8}}


@pytest.mark.parametrize(
    ("folders", "counts"),
    [
        pytest.param(["training/cat", "testing/dog"], {"cat": 8, "dog": 8}, id="training"),
        pytest.param(["train/cat", "dev/dog"], {"cat": 8, "dog": 8}, id="dev"),
        pytest.param(["train/Cat", "eval/cat", "train/Cat", "eval/dog"],
                     {"Cat": 12, "dog": 4}, id="capitals"),
        pytest.param(["caf\u00e9", "cafe\u0301", "bar", "bar"],
                     {"caf\u00e9": 8, "bar": 8}, id="NFC and NFD"),
    ],
)  # fmt: skip
def test_class_folders_of_splits(folders: list[str], counts: dict[str, int]) -> None:
    names = [f"{folders[place % len(folders)]}/{name}" for place, name in enumerate(NAMES)]
    assert labels.read(names, {}).counts() == {"class": counts}
    with_cover = labels.read([*names, "cover.png"], {}).counts()["class"]
    assert with_cover == {**counts, labels.UNLABELLED: 1}
    assert all(unicodedata.is_normalized("NFC", value) for value in counts)


def test_a_table_in_a_folder_may_have_the_paths_of_another_machine() -> None:
    names = [f"faces/{name}" for name in NAMES]
    text = table(files=[f"/content/x/images/{name}" for name in NAMES])
    assert read(text, "faces/metadata.csv", names).attributes == {"hat": HATS}
    # Where two folders could be meant, none is.
    twice = [*(f"a/{name}" for name in NAMES), *(f"b/{name}" for name in NAMES)]
    assert "hat" not in read(text, "metadata.csv", twice).attributes


@pytest.mark.parametrize(("column", "picture"), [("image", "image.png"), ("hat", "hat.png")])
def test_a_picture_may_be_called_like_a_column(column: str, picture: str) -> None:
    names = [picture, *NAMES[1:]]
    file_column = column if column == "image" else "file_name"
    text = table(column=file_column, files=names)
    assert read(text, names=names).attributes == {"hat": HATS}


def test_labels_that_cannot_be_read_are_named_and_refused_by_name_alone() -> None:
    spoilt = {"metadata.jsonl": lambda: b"{", "a/metadata.csv": table().encode}
    names = [f"a/{name}" for name in NAMES]
    with pytest.raises(DatasetError, match=r"metadata\.jsonl"):
        labels.read(names, spoilt)
    label_table = labels.read_usable(names, spoilt)
    assert label_table.attributes == {"hat": HATS}
    assert [each.name for each in label_table.unreadable] == ["metadata.jsonl"]
    with pytest.raises(InvalidRecipe) as error:
        labels.check_names(["scarf"], label_table, "faces")
    assert "metadata.jsonl cannot be read" in error.value.problems[0]["problem"]
