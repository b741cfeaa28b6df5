"""Translations of sentences that the server writes in English: errors, warnings and reasons.

A catalogue `locales/sentences/LANGUAGE.json` has a translation by sentence. A placeholder such as
`{name}` stands for text that is kept; one of `NESTED_PARTS` for a part that is translated in turn.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from app.studio.translations import FOLDER

NESTED_PARTS = ("problem", "reason", "allowed", "hint", "pictures")
LISTS = ("problems", "reasons")  # `field: problem; field: problem`
LONGEST = 2_000  # characters; longer sentences list what a client sent, and stay as they are
DEEPEST = 4  # sentences within sentences; a client may nest more
MOST_ITEMS = 20  # of a list; later ones stay as they are
_FIELD = re.compile(r"([\w.]{1,80}): (.+)", re.DOTALL)
_NEXT_FIELD = re.compile(r"; (?=[\w.]{1,80}: )")


def translate(sentence: str, language: str, depth: int = 0) -> str | None:
    """A server's sentence in another language; None where the catalogue does not have it.

    Clients choose parts of sentences, so the time is proportional to the length, whatever it has.
    """
    if len(sentence) > LONGEST or depth > DEEPEST:
        return None
    for parts, translation in _catalogue(language):
        if sentence.startswith(parts[0]) and (texts := _match(parts, sentence)) is not None:
            values = {
                name: _translate_part(name, value, language, depth + 1)
                for name, value in texts.items()
            }
            return translation.format(**values)
    return None


def translate_problem(document: dict[str, Any], language: str) -> dict[str, Any]:
    """A problem document (RFC 9457) whose sentences are translated where the catalogue has them."""
    items = document.get("problems", ())
    problems = [
        {**item, "problem": translate(str(item.get("problem")), language) or item.get("problem")}
        for item in items[:MOST_ITEMS]
    ]
    detail = document.get("detail", "")
    translation: dict[str, Any] = {"detail": translate(detail, language) or detail}
    if problems:
        translation["problems"] = [*problems, *items[MOST_ITEMS:]]
    return {**document, **translation}


def _translate_part(name: str, value: str, language: str, depth: int) -> str:
    if name in LISTS:
        return "；".join(_items(value, language, depth))
    return (translate(value, language, depth) or value) if name in NESTED_PARTS else value


def _items(text: str, language: str, depth: int) -> Iterator[str]:
    for number, item in enumerate(_NEXT_FIELD.split(text)):
        match = _FIELD.fullmatch(item)
        field, problem = match.groups() if match else ("", item)
        translation = translate(problem, language, depth) if number < MOST_ITEMS else None
        yield f"{field}: " * bool(field) + (translation or problem)


def texts_of(language: str) -> dict[str, str]:
    """The translation by sentence; empty for English, in which the sentences are written."""
    path = FOLDER / "sentences" / f"{language}.json"
    texts: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return texts


@cache
def _catalogue(language: str) -> list[tuple[list[str], str]]:
    """(parts, translation) of each sentence; parts: fixed texts and names of placeholders by turns.

    First those that add a hint to another sentence; then those with the most fixed text.
    """
    texts = texts_of(language).items()
    rows = [(re.split(r"\{(\w+)\}", text), translation) for text, translation in texts]

    def order(row: tuple[list[str], str]) -> tuple[bool, int]:
        parts = row[0]
        has_hint = not parts[0] and parts[1] in NESTED_PARTS
        return not has_hint, -sum(map(len, parts[::2]))

    return sorted(rows, key=order)


def _match(parts: list[str], sentence: str) -> dict[str, str] | None:
    """The texts of the placeholders, each of at least one character and as short as possible.

    Without backtracking, whose steps grow with a power of the length: what follows a placeholder is
    looked for once, and what ends the sentence at its end.
    """
    if len(parts) == 1:
        return {} if parts[0] == sentence else None
    if not sentence.endswith(parts[-1]):
        return None
    values: dict[str, str] = {}
    position = len(parts[0])
    for name, text in zip(parts[1::2], parts[2:-1:2], strict=False):
        if (end := sentence.find(text, position + 1)) < 0:
            return None
        values[name] = sentence[position:end]
        position = end + len(text)
    end = len(sentence) - len(parts[-1])
    if end <= position:
        return None
    values[parts[-2]] = sentence[position:end]
    return values
