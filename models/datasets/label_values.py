"""The values of a column of labels: texts in one spelling, numbers, booleans, missing ones."""

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from models.datasets.picture_names import to_nfc

TRUE = ("true", "yes", "y", "t", "on", "1", "1.0", "+1")
FALSE = ("false", "no", "n", "f", "off", "0", "0.0", "-1", "-1.0")
BOOLEANS = {**dict.fromkeys(TRUE, "yes"), **dict.fromkeys(FALSE, "no")}
# What spreadsheets, pandas, R and databases write where there is no value. Not "none": glasses may
# be that.
MISSING = frozenset({"nan", "-nan", "nat", "null", "n/a", "na", "#n/a", "<na>", "\\n"})
# An error of a spreadsheet's formula, in any language: #DIV/0!, #NAME?, #WERT!, #N/V.
_FORMULA_ERROR = re.compile(r"#¡?(N/?[A-Z]|[^\W\d_/]+/?0?[!?])")
# What people tick off in a spreadsheet; where it is not, the field is empty.
MARKS = frozenset({"x", "\u2713", "\u2714", "\u2611"})
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_THOUSANDS = re.compile(r"(?<=\d)[ '\u2019](?=\d{3}(?!\d))")
# White space, byte order marks, joiners, and marks of direction.
_AROUND = " \ufeff\u200b\u200c\u200d\u200e\u200f\u2060"


def to_text(value: Any) -> str | None:
    """A value as text; None where there is none. A nested value becomes its JSON."""
    if value is None:
        return None
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    return _to_text(str(value))


@lru_cache(1 << 12)  # most columns have few values
def _to_text(value: str) -> str | None:
    text = clean(value)
    if not text or text.lower() in MISSING or _FORMULA_ERROR.fullmatch(text):
        return None
    return text


def clean(text: str) -> str:
    """Text in form NFC, with single spaces and without what can be neither shown nor stored.

    Joiners and marks of direction (category Cf) mean something within a word, and nothing around
    it.
    """
    if not (text.isascii() and text.isprintable()):
        text = to_nfc("".join(map(_seen, text))).strip(_AROUND)
    return " ".join(text.split())


def _seen(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":  # half of a character, or a byte of a name that is not UTF-8
        return "\ufffd"
    return " " if character.isspace() else "" if category == "Cc" else character


def one_spelling(values: Sequence[str | None]) -> list[str | None]:
    """Values that differ in capitals or width alone, in the spelling that most pictures have."""
    spellings = Counter(value for value in values if value)
    best: dict[str, str] = {}
    for spelling, _ in spellings.most_common():
        best.setdefault(_key(spelling), spelling)
    if len(best) == len(spellings):
        return list(values)
    return [best[_key(value)] if value else value for value in values]


def _key(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def with_plain_numbers(values: Sequence[str | None]) -> list[str | None]:
    """Numbers as Python writes them; any other column as it is.

    They may have decimal commas, spaces or apostrophes between thousands, a minus sign (U+2212)
    and a percent sign. Where each comma has three digits behind it, thousands may be meant.
    """
    numbers = {value: _plain_number(value) for value in set(values) if value}
    commas = {number for number in numbers.values() if _DECIMAL_COMMA.fullmatch(number)}
    if not all(len(number.partition(",")[2]) == 3 for number in commas):
        numbers = {value: number.replace(",", ".") for value, number in numbers.items()}
    if not are_numbers(numbers.values()):
        return list(values)
    return [value and numbers[value] for value in values]


def _plain_number(text: str) -> str:
    if not any(each.isdigit() for each in text):
        return text
    return _THOUSANDS.sub("", text.replace("\u2212", "-").removesuffix("%").strip())


def are_marks(values: Sequence[str | None]) -> bool:
    """Whether the values are ticks, beside fields that are empty."""
    present = {value.lower() for value in values if value}
    return bool(present) and present <= MARKS and None in values


def are_classes(texts: Sequence[str | None]) -> bool:
    """Whether the values are whole numbers from 0 up, and no booleans."""
    distinct = {text for text in texts if text}
    are_whole = all(re.fullmatch(r"\d{1,9}(\.0)?", text) for text in distinct)
    return are_whole and not are_booleans(texts)


def are_booleans(values: Sequence[str | None]) -> bool:
    """Whether the values are words or numbers for yes and no."""
    spellings = {value.lower() for value in values if value}
    # -1 and 0 are both "no", but never beside each other: that is a number with three values.
    is_signed = {"-1", "-1.0"} & spellings and {"0", "0.0"} & spellings
    return spellings <= BOOLEANS.keys() and not is_signed


def are_numbers(values: Iterable[str | None]) -> bool:
    """Whether the values are numbers, finite or not."""
    try:
        for value in filter(None, set(values)):
            if "_" in value:  # 1_5 is 15 to Python alone
                return False
            float(value)
    except ValueError:
        return False
    return True


def to_number(text: str | None) -> float | None:
    """A number, or None where there is none: an empty field, `nan` or `inf`."""
    number = float(text) if text else math.nan
    return number if math.isfinite(number) else None
