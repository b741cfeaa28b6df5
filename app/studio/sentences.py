"""Translations of sentences that the server writes in English: errors, warnings and reasons.

A catalogue `locales/sentences/LANGUAGE.json` has a translation by sentence. A placeholder such as
`{name}` stands for text that is kept; one of SENTENCE_FIELDS for a sentence that is translated in
turn.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from app.studio.translations import FOLDER

SENTENCE_FIELDS = ("problem", "reason", "allowed", "hint")
LISTS = ("problems", "reasons")  # `field: problem; field: problem`
LONGEST = 2_000  # characters; longer sentences list what a client sent, and stay as they are
_FIELD = re.compile(r"([\w.]{1,80}): (.+)", re.DOTALL)
_NEXT_FIELD = re.compile(r"; (?=[\w.]{1,80}: )")


def translate(sentence: str, language: str) -> str | None:
    """A server's sentence in another language; None where the catalogue does not have it."""
    if len(sentence) > LONGEST:
        return None
    for start, pattern, translation in _catalogue(language):
        if sentence.startswith(start) and (match := pattern.fullmatch(sentence)):
            values = {
                name: _translate_nested(name, value, language)
                for name, value in match.groupdict().items()
            }
            return translation.format(**values)
    return None


def translate_problem(document: dict[str, Any], language: str) -> dict[str, Any]:
    """A problem document (RFC 9457) whose sentences are translated where the catalogue has them."""
    problems = [
        {**item, "problem": translate(str(item.get("problem")), language) or item.get("problem")}
        for item in document.get("problems", ())
    ]
    detail = document.get("detail", "")
    translation = {"detail": translate(detail, language) or detail}
    return {**document, **translation, **({"problems": problems} if problems else {})}


def _translate_nested(name: str, value: str, language: str) -> str:
    if name in LISTS:
        return "；".join(_items(value, language))
    return (translate(value, language) or value) if name in SENTENCE_FIELDS else value


def _items(text: str, language: str) -> Iterator[str]:
    for item in _NEXT_FIELD.split(text):
        match = _FIELD.fullmatch(item)
        field, problem = match.groups() if match else ("", item)
        yield f"{field}: " * bool(field) + (translate(problem, language) or problem)


def texts_of(language: str) -> dict[str, str]:
    """The translation by sentence; empty for English, in which the sentences are written."""
    path = FOLDER / "sentences" / f"{language}.json"
    texts: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return texts


@cache
def _catalogue(language: str) -> list[tuple[str, re.Pattern[str], str]]:
    """(beginning, pattern, translation) of each sentence.

    First those with a fixed end alone, such as a hint; then those with the most fixed text.
    """
    texts = texts_of(language).items()
    rows = [(re.split(r"\{(\w+)\}", text), translation) for text, translation in texts]
    rows.sort(key=lambda row: (bool(row[0][0]), -sum(map(len, row[0][::2]))))
    return [(parts[0], _pattern(parts), translation) for parts, translation in rows]


def _pattern(parts: list[str]) -> re.Pattern[str]:
    """parts: fixed texts and the names of placeholders by turns."""
    pieces = (
        f"(?P<{part}>.+?)" if number % 2 else re.escape(part) for number, part in enumerate(parts)
    )
    return re.compile("".join(pieces), re.DOTALL)
