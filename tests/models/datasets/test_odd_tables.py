"""Tables with classes as numbers and quotation marks without an end."""

import errno

import pytest

from models.datasets import labels
from tests.models.datasets.test_everyday_labels import HATS, NAMES, read, table


@pytest.mark.parametrize(
    ("column", "values", "is_class"),
    [
        ("label", [1, 2] * 8, True),
        ("class", [0, 1, 2, 3] * 4, True),
        ("label", [0, 1] * 8, False),  # a boolean
        ("weight", [1, 2] * 8, False),
    ],
)
def test_whole_numbers_of_a_class_column_are_classes(
    column: str, values: list[int], is_class: bool
) -> None:
    text = "\n".join(
        [f"file_name,{column}", *(f"{a},{b}" for a, b in zip(NAMES, values, strict=True))]
    )
    result = read(text)
    classes = [f"class {value}" for value in values]
    assert (list(result.attributes.values()) == [classes]) == is_class


def test_many_classes_are_left_out_and_no_slider() -> None:
    names = [f"{number:03}.png" for number in range(200)]
    text = "\n".join(["file_name,class", *(f"{a},{b % 100}" for b, a in enumerate(names))])
    result = read(text, names=names)
    assert (result.attributes, result.numbers) == ({}, {})
    assert [each.name for each in result.left_out] == ["class"]


def test_an_odd_quotation_mark_hides_no_missing_one_after_it() -> None:
    text = table(values=['"Bob" Smith', '"oops', *HATS[2:]])
    (left_out,) = read(text).unreadable
    assert "01.png" in left_out.reason
    assert "never closed" in left_out.reason


def test_a_file_that_the_system_refuses_is_named_without_its_place() -> None:
    def refuse() -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", "/srv/faces/metadata.csv")

    (left_out,) = labels.read_usable(NAMES, {"metadata.csv": refuse}).unreadable
    assert left_out.reason == "cannot be read: Permission denied"


@pytest.mark.parametrize("column", ["file_name", "town"])
def test_an_age_is_no_name_of_a_picture(column: str) -> None:
    """Pictures are often called 7.png, and rows of other pictures got the labels of theirs."""
    names = [f"{number}.png" for number in range(16)]
    rows = [f"other/{number}.jpeg,{number % 9},{hat}" for number, hat in enumerate(HATS)]
    label_table = read("\n".join([f"{column},age,hat", *rows]).replace("/", "-"), names=names)
    assert not label_table
    (reason,) = [each.reason for each in label_table.left_out]
    assert reason.startswith(
        "16 of 16 rows name no picture" if column == "file_name" else "cannot be read: it has no"
    )


def test_a_number_of_each_row_may_name_its_picture() -> None:
    names = [f"{number}.png" for number in range(16)]
    rows = [f"{number},{hat}" for number, hat in enumerate(HATS)]
    assert read("\n".join(["face,hat", *rows]), names=names).attributes == {"hat": HATS}
