"""Reads labels that are JSON: lines or a list of objects, and StyleGAN's `dataset.json`."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]

NESTED = 4  # lists and objects for each row that is allowed; each takes 60 bytes of memory and up
LONGEST_INTEGER = 300  # digits; a longer one is no number of Python's


def read_rows(text: str, notes: list[str], most: int) -> list[Row]:
    """One JSON object per line, or one list of objects, of at most `most`.

    Rows that cannot be read are counted in `notes`. Raises ValueError where there is no other.
    """
    _check_size(text, most)
    if text.lstrip().startswith("["):
        values = _parse(text)
        table = [value for value in values if isinstance(value, dict)]
        problems = ["a row is no object"] * (len(values) - len(table))
    else:
        table, problems = _parse_lines(text)
    check_count(len(table), most)
    if problems and not table:
        raise ValueError(f"{problems[0]}; write each row as a JSON object on a line of its own")
    if problems:
        notes.append(f"{_count(problems)} cannot be read: {problems[0]}")
    return [_flatten(row) for row in table]


def read_stylegan(text: str, notes: list[str], most: int) -> list[tuple[str, Row]] | None:
    """{"labels": [["00000/img00000000.png", 6], …]}; a label may be a one-hot list, or null.

    None for a file of another program, which has no `labels`. Raises ValueError for other JSON,
    and for more than `most` labels.
    """
    _check_size(text, most)
    content = _parse(text)
    if not isinstance(content, dict):
        raise ValueError("it is no object")
    if "labels" not in content:
        return None
    labels = content["labels"] or []
    entries = list(labels.items()) if isinstance(labels, dict) else labels
    if not isinstance(entries, list):
        raise ValueError("its labels are no list")
    check_count(len(entries), most)
    pairs = [
        (entry[0], {"label": _class_of(entry[1])})
        for entry in entries
        if isinstance(entry, list | tuple) and len(entry) == 2 and isinstance(entry[0], str)
    ]
    unusable = len(entries) - len(pairs)
    if unusable and not pairs:
        raise ValueError("its labels are no pairs of a picture and a class")
    if unusable:
        notes.append(
            f"{unusable:,} of {len(entries):,} labels are no pairs of a picture and a class"
        )
    return pairs


def check_count(rows: int, most: int) -> None:
    """Raises ValueError for more than `most` rows."""
    if rows > most:
        raise ValueError(f"it has more than {most:,} rows")


def _check_size(text: str, most: int) -> None:
    """Raises ValueError for more lists and objects than rows can have, before they take memory."""
    if text.count("{") + text.count("[") > NESTED * most:
        raise ValueError(f"it has more than {NESTED * most:,} lists and objects")


def _parse(text: str) -> Any:
    """A value of JSON. Raises ValueError, also for one that is nested too deeply."""
    try:
        return json.loads(text, parse_int=_integer)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= LONGEST_INTEGER else digits


def _flatten(row: Mapping[str, Any]) -> Row:
    """A row with its objects' fields as columns of their own: `object.field`."""
    columns: Row = {}
    for name, value in row.items():
        fields = value.items() if isinstance(value, dict) else ()
        columns |= {f"{name}.{field}": inner for field, inner in fields} or {name: value}
    return columns


def _parse_lines(text: str) -> tuple[list[Row], list[str]]:
    table, problems = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = _parse(line.strip().removesuffix(","))
        except ValueError as error:
            problems.append(f"line {number}: {str(error)[:120]}")
            continue
        if isinstance(value, dict):
            table.append(value)
        else:
            problems.append(f"line {number} is no object")
    return table, problems


def _class_of(label: Any) -> Any:
    if isinstance(label, list) and label.count(1) == 1 and label.count(0) == len(label) - 1:
        return f"class {label.index(1)}"
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    is_number = isinstance(label, str) and label.isdecimal() and len(label) <= LONGEST_INTEGER
    if isinstance(label, int) or is_number:
        return f"class {int(label)}"
    return label


def _count(problems: Sequence[str]) -> str:
    return f"{len(problems):,} row{'s' if len(problems) > 1 else ''}"
