"""Reads files of labels, as common programs write them, into rows for pictures.

`metadata.csv`, `metadata.tsv` and `metadata.jsonl` (Hugging Face ImageFolder), `dataset.json`
(StyleGAN). A row that cannot be read, or names no picture, never spoils the others: it is counted.
"""

import codecs
import csv
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Any

from models.datasets import label_json, stand_ins
from models.datasets.label_json import Row
from models.datasets.picture_names import PictureNames, to_nfc
from models.errors import DatasetError

METADATA = ("metadata.csv", "metadata.tsv", "metadata.jsonl", "dataset.json")
# The columns that name pictures, without case, spaces and underscores; the first is Hugging Face's.
FILE_COLUMNS = (
    "filename", "image", "file", "imagepath", "imagefile", "imagename", "filepath", "path", "img",
    "imgpath", "imageid", "picture", "photo",
)  # fmt: skip
DELIMITERS = ",;\t|"
LARGEST_FILE = 64 << 20  # bytes
MOST_ROWS = 1_000_000  # of a table; a row takes 200 bytes of memory and up
MOST_CELLS = 10_000_000  # CelebA has 8 million; a short row takes as much memory as a full one
SAMPLE = 1000  # rows, from all of the table, in which the column of files is looked for
EXAMPLES = 3  # rows in a note
# Byte order marks. UTF-32's comes first, because it begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DELIMITER_LINE = re.compile(r'\s*"?sep=(.)"?[^\n]*\n', re.IGNORECASE)  # Excel's own line
_BARE_NUMBER = re.compile(r"\s*\d*(\.0)?\s*")
_HIGH = re.compile(rb"[\x80-\xff]+")
_DECIMAL_COMMA = re.compile(r"\s*[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+\s*")

Rows = dict[str, Row]  # picture name → column → value
Table = list[Row]

csv.field_size_limit(LARGEST_FILE)  # captions and encoded pictures beside the labels


class LabelFileError(DatasetError):
    """A file with labels that cannot be read. name: the file's; reason: a few words."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"The labels in {name!r} cannot be read ({reason}); mend the file or take it away."
        )
        self.name = name
        self.reason = reason


@dataclass(frozen=True)
class LabelRows:
    """Rows by picture. notes: a sentence for each kind of row that is not used.

    is_stylegan: whether folders of the pictures are shards and no classes.
    """

    rows: Rows
    notes: list[str] = field(default_factory=list)
    is_stylegan: bool = False


def is_metadata(name: str) -> bool:
    """Whether a slash-separated name is that of a file with labels."""
    return name.lower().rpartition("/")[2] in METADATA


def read(name: str, read_bytes: Callable[[], bytes], pictures: PictureNames) -> LabelRows:
    """The rows of the file `name` for the pictures. Raises LabelFileError."""
    folder, _, file = name.rpartition("/")
    try:
        text = _decode(read_bytes())
        notes: list[str] = []
        if file.lower() == "dataset.json":
            pairs = label_json.read_stylegan(text, notes, MOST_ROWS)
            if pairs is None:  # another program's
                return LabelRows({}, ["it has no list 'labels'"])
        else:
            is_json = file.lower().endswith(".jsonl")
            table = label_json.read_rows(text, notes, MOST_ROWS) if is_json else _csv(text, notes)
            pairs = _by_file(table, pictures, notes)
    except DatasetError as error:
        raise LabelFileError(name, str(error)[:300]) from None
    except OSError as error:
        raise LabelFileError(name, error.strerror or "it cannot be opened") from None
    except (csv.Error, ValueError) as error:
        raise LabelFileError(name, str(error)[:300]) from None
    rows = _match(pairs, pictures.find([file for file, _ in pairs], folder), notes)
    return LabelRows(rows, notes, file.lower() == "dataset.json")


def _decode(data: bytes) -> str:
    """Decode by the byte order mark, else as UTF-8, UTF-16 or Windows-1252. Raises ValueError."""
    if kind := stand_ins.stand_in(data[: stand_ins.LONGEST]):
        raise ValueError(f"it is {kind}, not a table")
    try:
        return data.decode(_encoding(data))
    except UnicodeDecodeError:
        # In Western European text single letters have accents; elsewhere whole words are not ASCII.
        lengths = Counter(len(run) > 1 for run in _HIGH.findall(data))
        if lengths[True] > lengths[False] or _encoding(data) != "utf-8":
            raise ValueError("it is not UTF-8; save it as such") from None
        return data.decode("cp1252", errors="replace")


def _encoding(data: bytes) -> str:
    marks = (encoding for mark, encoding in _MARKS if data.startswith(mark))
    unmarked = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be" if data[:1] == b"\0" else "utf-8"
    return next(marks, unmarked)


def _csv(text: str, notes: list[str]) -> Table:
    """A table with any usual delimiter, as Excel and others write it."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    delimiter = None
    if match := _DELIMITER_LINE.match(lines):
        delimiter, lines = match[1], lines[match.end() :]
    lines = _without_blank_rows(lines)
    delimiter = delimiter or _delimiter(lines)
    _check_quotes(lines, delimiter)
    reader = csv.DictReader(_lines(lines), delimiter=delimiter, skipinitialspace=True)
    reader.fieldnames = _header([name.strip() for name in reader.fieldnames or []])
    rows = _read_rows(reader)
    _check_widths(rows, reader.fieldnames, notes)
    for row in rows:
        row.pop(None, None)  # DictReader's name for further fields
    if delimiter == ";":  # as in countries with decimal commas
        return [{key: _with_point(value) for key, value in row.items()} for row in rows]
    return rows


def _read_rows(reader: "csv.DictReader[str]") -> list[dict[str | Any, str | Any]]:
    """Raises ValueError for more rows or cells than a table may have."""
    columns = max(1, len(reader.fieldnames or ()))
    most = min(MOST_ROWS, MOST_CELLS // columns)
    rows = list(islice(reader, most + 1))
    label_json.check_count(len(rows), MOST_ROWS)
    if len(rows) > most:
        raise ValueError(f"it has more than {MOST_CELLS:,} cells; take columns away")
    return rows


def _check_widths(
    rows: Sequence[Mapping[Any, Any]], columns: Sequence[str], notes: list[str]
) -> None:
    """Count the rows with more fields than the header.

    Raises ValueError where most rows have, and values may be in the wrong column: all have as many
    more, as below a line that is no header, or their numbers have decimal commas. Texts with
    commas in the last column leave the others where they are.
    """
    long_rows = [row for row in rows if any(row.get(None) or ())]
    long = [str(next(iter(row.values()))) for row in long_rows]
    decimals = sum(map(_has_decimal_comma, long_rows))
    is_shifted = len({len(row[None]) for row in long_rows}) == 1 or 2 * decimals > len(long)
    if is_shifted and 2 * len(long) > len(rows):
        header = ", ".join(columns)[:60]
        raise ValueError(
            f"its rows have more fields than its first line, {header!r}: put the columns' names "
            "there, and quotation marks around values with the delimiter in them"
        )
    if long:
        have = "rows have" if len(long) > 1 else "row has"
        notes.append(f"{len(long):,} {have} more fields than the first line, as {long[0]!r}")


def _has_decimal_comma(row: Mapping[Any, Any]) -> bool:
    """Whether two fields beside each other may be one number, such as 1,5."""
    fields = [str(value) for name, value in row.items() if name is not None] + row[None]
    return any(one.lstrip("+-").isdecimal() and two.isdecimal() for one, two in pairwise(fields))


def _check_quotes(text: str, delimiter: str) -> None:
    """Raises ValueError for a quoted field without an end, of which all rows after it are part."""
    lines = list(_lines(text))
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    line = 0
    while True:
        try:
            next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # of one row, as of `"Bob" Smith`, unless the text ends in it
            if "end of data" in str(error):
                start = lines[line].strip()[:60]
                raise ValueError(f"a quotation mark of the row {start!r} is never closed") from None
        line = reader.line_num


def _without_blank_rows(text: str) -> str:
    """A table without the rows before its header that have no text, as spreadsheets write them."""
    first = re.search(r"[^\s,;|\"]", text)
    return text[text.rfind("\n", 0, first.start()) + 1 :] if first else text


def _header(names: Sequence[str]) -> list[str]:
    """The columns' names, numbered where two are equal."""
    counts: Counter[str] = Counter()
    header = []
    for name in names:
        counts[name] += 1
        header.append(f"{name} {counts[name]}" if name and counts[name] > 1 else name)
    return header


def _lines(text: str) -> Iterator[str]:
    """Lines by "\\n" alone: str.splitlines has others, which occur within texts."""
    return (f"{line}\n" for line in text.split("\n"))


def _delimiter(text: str) -> str:
    """The delimiter by which the header has a column of files, and else the most columns."""

    def rank(delimiter: str) -> tuple[bool, int]:
        header = next(csv.reader(_lines(text), delimiter=delimiter, skipinitialspace=True), [])
        return any(_plain(name) in FILE_COLUMNS for name in header), len(header)

    return max(DELIMITERS, key=rank)


def _with_point(value: Any) -> Any:
    is_number = isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value)
    return value.replace(".", "").replace(",", ".") if is_number else value


def _by_file(
    table: Table, pictures: PictureNames, notes: list[str]
) -> list[tuple[str, dict[str, Any]]]:
    """(file, other columns) of the rows. Raises ValueError without a column of files."""
    column = _file_column(table, pictures)
    pairs, blank = [], 0
    for row in table:
        file = row.get(column)
        if file is None or not str(file).strip():
            blank += any(value not in (None, "") for value in row.values())
            continue
        columns = {str(name): value for name, value in row.items() if name != column}
        pairs.append((str(file).strip(), columns))
    if blank:
        notes.append(f"{blank:,} row{'s' if blank > 1 else ''} without a file's name")
    return pairs


def _file_column(table: Table, pictures: PictureNames) -> str:
    """The column that names the pictures: by its own name, or else by its values."""
    columns = list(dict.fromkeys(str(name) for row in table for name in row))
    if not table:
        raise ValueError("it has no rows")
    by_name = sorted(
        (column for column in columns if _plain(column) in FILE_COLUMNS),
        key=lambda column: FILE_COLUMNS.index(_plain(column)),
    )
    if not by_name and any(pictures.stem(column) in pictures.stems for column in columns):
        raise ValueError("its first line names a picture; put the columns' names there")

    for column in by_name:
        if any(pictures.stem(str(row.get(column))) in pictures.stems for row in table):
            return column
    sample = table[:: -(-len(table) // SAMPLE)]

    def count_hits(column: str) -> int:
        values = [str(row.get(column)) for row in sample]
        # 7 may be an age as well as 7.png; it is a file where nothing else is, and each row's own.
        is_quantity = by_name or len(set(values)) < len(values)
        if is_quantity and all(_BARE_NUMBER.fullmatch(value) for value in values):
            return 0
        return sum(pictures.stem(value) in pictures.stems for value in values)

    counts = {column: count_hits(column) for column in columns}
    best = max(columns, key=lambda column: counts[column], default="")
    if columns and 2 * counts[best] > len(sample):
        return best
    if by_name:
        return by_name[0]
    raise ValueError("it has no column 'file_name'")


def _plain(column: str) -> str:
    return re.sub(r"[\W_]+", "", column.lower())


def _match(
    pairs: Sequence[tuple[str, dict[str, Any]]], matches: Mapping[str, str], notes: list[str]
) -> Rows:
    """The row of each picture, the last where there are several. matches: file → picture."""
    rows_of: dict[str, list[dict[str, Any]]] = defaultdict(list)
    missing = []
    for file, row in pairs:
        picture = matches.get(file)
        if picture is None:
            missing.append(file)
        else:
            rows_of[picture].append(row)
    if missing:
        examples = ", ".join(repr(to_nfc(file)[:80]) for file in missing[:EXAMPLES])
        ellipsis = ", …" if len(missing) > EXAMPLES else ""
        names = "name" if len(missing) > 1 else "names"
        notes.append(
            f"{len(missing):,} of {len(pairs):,} rows {names} no picture: {examples}{ellipsis}"
        )
    different = [name for name, rows in rows_of.items() if any(row != rows[0] for row in rows)]
    if different:
        notes.append(
            f"{len(different):,} picture{'s have' if len(different) > 1 else ' has'} rows that "
            f"differ, as {different[0][:80]!r}; the "
            "last one counts"
        )
    return {name: _merge_rows(rows) for name, rows in rows_of.items()}


def _merge_rows(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for row in rows:
        merged.update(row)
    return merged
