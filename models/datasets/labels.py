"""Labels of a user's own pictures, as attributes.

They are read from `dataset.json` (StyleGAN) and from `metadata.csv`, `.tsv` or `.jsonl` (Hugging
Face ImageFolder: `file_name`, relative to the metadata file's folder, and further columns); where
several have a label, the file that sorts last wins. Without any, each folder is a class. Text
columns with few values and booleans become attributes, columns of numbers sliders; the others are
left out, each with a reason.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from models.datasets import label_files
from models.datasets.exclusions import Exclusion
from models.datasets.label_files import LabelFileError, LabelRows, Rows
from models.datasets.label_values import (
    BOOLEANS,
    are_booleans,
    are_classes,
    are_marks,
    are_numbers,
    clean,
    one_spelling,
    to_number,
    to_text,
    with_plain_numbers,
)
from models.datasets.picture_names import PictureNames, to_nfc
from models.errors import InvalidRecipe
from models.faces.attributes import RESERVED_NAMES

MOST_ATTRIBUTES = 64
MOST_NOTES = 100  # about files of labels
MOST_NAMED = 5  # such files in a message
MOST_COLUMNS = 1000  # that are looked at, of all files together
MOST_VALUES = 64
FEWEST_OF_EACH = 4  # pictures for each value on average; with fewer, nothing can be learnt
LONGEST_VALUE = 64  # characters
RARE = 1 / 64  # share of a value that a batch of 64 has about once
MOST_MISSING = 0.1  # share of pictures without a value
UNLABELLED = "unlabelled"  # the value of a picture without one
# Hugging Face's names of splits, which are no classes.
SPLITS = frozenset(
    {
        "train", "training", "test", "testing", "eval", "evaluation", "val", "valid", "validation",
        "dev",
    }
)  # fmt: skip
# Columns of which each picture has another whole number: no property of a face.
ROW_NUMBERS = frozenset({"id", "index", "idx", "row", "no", "nr", "num", "number", "nummer"})
# Columns whose numbers are classes and no quantities, without case, spaces and underscores.
CLASS_COLUMNS = frozenset(
    {"label", "labels", "labelid", "class", "classid", "classindex", "category", "categoryid"}
)
# Parameters with which pages avoid caches: ambiguous as names of a trait.
CACHE_PARAMETERS = frozenset({"v", "ver", "rev", "ref", "ts", "trk", "spm", "cb", "rnd", "rand"})
_SHARD = re.compile(r"\d{5}")  # StyleGAN's folders of a thousand pictures, no classes


@dataclass(frozen=True)
class LabelTable:
    """Labels by name, with a value for each picture in the order of the pictures' names.

    attributes: texts with few values. numbers: become sliders; None where a picture has no value.
    left_out: columns that become neither, and files with rows of no use. unreadable: metadata files
    that cannot be read; `left_out` has them too. columns: each label's own name in its table.
    """

    attributes: dict[str, list[str]] = field(default_factory=dict)
    numbers: dict[str, list[float | None]] = field(default_factory=dict)
    left_out: list[Exclusion] = field(default_factory=list)
    unreadable: list[Exclusion] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)

    @property
    def unreadable_files(self) -> list[Exclusion]:
        """The metadata files that cannot be read, as files that are left out of the set."""
        return [each._replace(reason=f"labels that {each.reason}") for each in self.unreadable]

    def column(self, name: str) -> str:
        """A label's own name in its table: parameters of addresses are a-z, 0-9 and _ alone."""
        return self.columns.get(name, name)

    def counts(self) -> dict[str, dict[str, int]]:
        """Attribute → value → number of pictures, the most frequent value first."""
        return {name: dict(Counter(row).most_common()) for name, row in self.attributes.items()}

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Numeric label → its least and greatest number."""
        present = {
            name: [number for number in column if number is not None]
            for name, column in self.numbers.items()
        }
        return {name: (min(column), max(column)) for name, column in present.items()}

    def to_json(self, names: Sequence[str], packed_names: Sequence[str]) -> dict[str, Any]:
        """The `labels.json` of a packed set: the values, and a code for each of `packed_names`.

        names: the pictures that the table is about; packed_names: those that were packed.
        """
        place = {name: number for number, name in enumerate(names)}
        attributes = {}
        for name, row in self.attributes.items():
            values = sorted(set(row))
            code = {value: number for number, value in enumerate(values)}
            codes = [code[row[place[picture]]] for picture in packed_names]
            attributes[name] = {"values": values, "codes": codes}
        numbers = {
            name: [column[place[picture]] for picture in packed_names]
            for name, column in self.numbers.items()
        }
        return {"attributes": attributes, **({"numbers": numbers} if numbers else {})}

    def __bool__(self) -> bool:
        return bool(self.attributes or self.numbers)


def rare_values(counts: Mapping[str, int]) -> list[str]:
    """The values of an attribute that too few pictures have to be learnt well."""
    total = sum(counts.values())
    return [value for value, count in counts.items() if count < RARE * total]


def check_names(
    names: Sequence[str], table: LabelTable, dataset: str, hidden_names: Sequence[str] = ()
) -> None:
    """Raises InvalidRecipe, listing what there is, for labels that a dataset does not have.

    names, hidden_names: a recipe's `labels` and `hidden_labels`; no number can be hidden.
    """
    _check_field("labels", names, {*table.attributes, *table.numbers}, table, dataset)
    _check_field("hidden_labels", hidden_names, {*table.attributes}, table, dataset)


def _check_field(
    field: str, names: Sequence[str], available_names: set[str], table: LabelTable, dataset: str
) -> None:
    unknown = [name for name in names if name not in available_names]
    if not unknown:
        return
    reasons = {_name(each.name, {}): each.reason for each in table.left_out}
    why = [f"{name} ({reasons[name]})" if name in reasons else name for name in unknown]
    available = f"has {', '.join(sorted(available_names))}" if available_names else "has no labels"
    problem = f"{dataset!r} cannot be trained with {', '.join(why)}; it {available}"
    problem += "".join(f"; {each.name} {each.reason}" for each in table.unreadable[:MOST_NAMED])
    raise InvalidRecipe([{"field": field, "problem": problem}])


def read(names: Sequence[str], files: Mapping[str, Callable[[], bytes]]) -> LabelTable:
    """The labels of the pictures `names`. files: metadata files by name, each with its reader.

    Raises LabelFileError for a metadata file that cannot be read.
    """
    return _read(names, files, label_files.read)


def read_usable(names: Sequence[str], files: Mapping[str, Callable[[], bytes]]) -> LabelTable:
    """The labels of those files that can be read; the others are `unreadable`."""
    unreadable: list[Exclusion] = []

    def read_file(name: str, read_bytes: Callable[[], bytes], pictures: PictureNames) -> LabelRows:
        try:
            return label_files.read(name, read_bytes, pictures)
        except LabelFileError as error:
            unreadable.append(Exclusion(name, f"cannot be read: {error.reason}"))
            return LabelRows({})

    table = _read(names, files, read_file)
    left_out = [*table.left_out, *_first(unreadable)]
    return replace(table, left_out=left_out, unreadable=unreadable)


def _read(
    names: Sequence[str],
    files: Mapping[str, Callable[[], bytes]],
    read_file: Callable[[str, Callable[[], bytes], PictureNames], LabelRows],
) -> LabelTable:
    rows: Rows = {}
    notes: list[Exclusion] = []
    has_shards, pictures = False, PictureNames(names)
    for name in sorted(files):
        additions = read_file(name, files[name], pictures)
        for picture, row in additions.rows.items():
            rows.setdefault(picture, {}).update(row)
        notes += [Exclusion(name, note) for note in additions.notes]
        has_shards |= additions.is_stylegan
    if not rows and not has_shards:
        rows = _classes(names)
    table = _table(names, rows)
    return replace(table, left_out=[*table.left_out, *_first(notes)])


def _first(notes: list[Exclusion]) -> list[Exclusion]:
    """The first notes about files: a set may have a file of labels in each of its folders."""
    if len(notes) <= MOST_NOTES:
        return notes
    rest = f"{len(notes) - MOST_NOTES:,} more files"
    return [*notes[:MOST_NOTES], Exclusion(rest, "not all of their rows are used")]


def _classes(names: Sequence[str]) -> Rows:
    """The class of each picture by the first folder in which the names differ."""
    folders = {name: to_nfc(name).split("/")[:-1] for name in names}
    depth = 0
    while parts := {path[depth] for path in folders.values() if len(path) > depth}:
        if len(parts) > 1 and not {part.lower() for part in parts} <= SPLITS:
            break
        depth += 1
    classes = {name: path[depth] for name, path in folders.items() if len(path) > depth}
    values = set(classes.values())
    if len(values) < 2 or all(_SHARD.fullmatch(value) for value in values):
        return {}
    # Folders that are called 0, 1, 2 … are classes, no quantities.
    prefix = "class " if all(value.isdecimal() for value in values) else ""
    return {name: {"class": f"{prefix}{value}"} for name, value in classes.items()}


def _table(names: Sequence[str], rows: Rows) -> LabelTable:
    counts = Counter(column for row in rows.values() for column in row)
    columns = list(counts)
    attributes: dict[str, list[str]] = {}
    numbers: dict[str, list[float | None]] = {}
    own_names: dict[str, str] = {}
    too_many = f"more than {MOST_COLUMNS:,} columns"
    left_out = [Exclusion(clean(column), too_many) for column in columns[MOST_COLUMNS:][:1]]
    for column in columns[:MOST_COLUMNS]:
        if reason := _reason_by_count(column, counts[column], len(names), rows):
            left_out.append(Exclusion(clean(column), reason))
            continue
        values = _values(column, names, rows)
        has_name = column.strip() and not column.startswith("Unnamed: ")  # a row's number
        reason = _reason_to_leave_out(column, values) if has_name else "a column without a name"
        labels = {**attributes, **numbers}
        if reason is None and len(labels) == MOST_ATTRIBUTES:
            reason = f"more than {MOST_ATTRIBUTES} labels"
        if reason is not None:
            left_out.append(Exclusion(clean(column), reason))
            continue
        name = _name(column, labels)
        own_names[name] = clean(column)
        if are_booleans(values):
            attributes[name] = [
                BOOLEANS[value.lower()] if value else UNLABELLED for value in values
            ]
        elif are_numbers(values):
            numbers[name] = [to_number(value) for value in values]
        else:
            attributes[name] = [value or UNLABELLED for value in values]
    return LabelTable(attributes, numbers, left_out, columns=own_names)


def _reason_by_count(column: str, count: int, pictures: int, rows: Rows) -> str | None:
    """Why a column is no label that only `count` rows have; looks at those alone.

    A table may have a thousand columns, each with a value for one picture of 200,000.
    """
    if count >= (1 - MOST_MISSING) * pictures:
        return None
    texts = [to_text(row[column]) for row in rows.values() if column in row]
    is_ticked = are_marks([*texts, None])  # where it is not, the value is "no"
    return None if is_ticked else _missing(pictures - sum(map(bool, texts)), pictures)


def _missing(count: int, pictures: int) -> str:
    return f"{100 * count / pictures:.0f} % of the pictures have no value"


def _values(column: str, names: Sequence[str], rows: Rows) -> list[str | None]:
    """A column's value for each picture, each in one spelling; None where there is none."""
    texts = [to_text(rows.get(name, {}).get(column)) for name in names]
    if are_marks(texts):
        marks = zip(names, texts, strict=True)
        return [None if name not in rows else "yes" if text else "no" for name, text in marks]
    if re.sub(r"[\W_]+", "", column.lower()) in CLASS_COLUMNS and are_classes(texts):
        return [text and f"class {int(float(text))}" for text in texts]
    return with_plain_numbers(one_spelling(texts))


def _reason_to_leave_out(column: str, values: Sequence[str | None]) -> str | None:
    """Why a column is no label; None for one that is. Numbers that are not finite are missing."""
    numeric = are_numbers(values)
    distinct = {value for value in set(values) if value}
    if numeric:
        distinct = {value for value in distinct if to_number(value) is not None}
    present = [value for value in values if value in distinct]
    missing = len(values) - len(present)
    if missing > MOST_MISSING * len(values):
        return _missing(missing, len(values))
    if len(distinct) < 2:
        return "one value only"
    if {value.lower() for value in distinct} <= SPLITS:
        return "parts of the set (train, test …)"
    is_numbered = numeric and column.strip().lower() in ROW_NUMBERS
    if is_numbered and len(distinct) == len(values) and not any("." in each for each in distinct):
        return "a number for each picture"
    if numeric or are_booleans(values):
        return None
    if any(value[0] in "[{" for value in distinct):
        return "nested values"
    if len(distinct) > MOST_VALUES or len(present) < FEWEST_OF_EACH * len(distinct):
        return f"{len(distinct):,} different texts for {len(present):,} pictures"
    if any(len(value) > LONGEST_VALUE for value in distinct):
        return f"texts of more than {LONGEST_VALUE} characters"
    return None


def _name(column: str, names: Mapping[str, Any]) -> str:
    """A column's name as a parameter of an address: a-z, 0-9 and _, none that has a meaning."""
    letters = unicodedata.normalize("NFKD", column.casefold())
    name = re.sub(r"[^a-z0-9]+", "_", letters.encode("ascii", "ignore").decode()).strip("_")[:48]
    if not name or not name[0].isalpha() or name in RESERVED_NAMES | CACHE_PARAMETERS:
        name = f"label_{name}".rstrip("_")
    unique, number = name, 2
    while unique in names:
        unique, number = f"{name}_{number}", number + 1
    return unique
