"""Alternative text: what a picture shows, in English and Chinese, from the traits of its face.

Skin and background are left out, because alternative text should say how faces differ;
`format=json` lists every trait.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "zh")
Traits = Mapping[str, str | float]
# In the order of the sentence; other attributes follow, as name and value.
_HAIR, _EYES = ("hair_colour", "hair_length"), "eye_colour"
_SINGLE = ("eyes_state", "glasses", "mood", "flowers")
_SILENT = {*_HAIR, _EYES, *_SINGLE, "skin", "background"}
_COVERED_EYES = (
    {"eyes_state": "closed"},
    {"glasses": "shades"},
)  # the colour of the eyes is not seen


@cache
def _words(language: str) -> dict[str, Any]:
    table = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    words: dict[str, Any] = table[language]
    return words


def describe_face(traits: Traits) -> dict[str, str]:
    """The alternative text of one face by language. Sliders, which are numbers, are left out."""
    return {language: _describe(traits, _words(language)) for language in LANGUAGES}


def describe_picture(picture_type: str) -> dict[str, str]:
    """The alternative text of a picture of several faces, by language."""
    return {language: _words(language)["pictures"][picture_type] for language in LANGUAGES}


def _describe(traits: Traits, words: Mapping[str, Any]) -> str:
    texts = {name: value for name, value in traits.items() if isinstance(value, str)}
    phrases = [phrase for phrase in _phrases(texts, words) if phrase]
    return str(words["separator"]).join(phrases) or str(words["nothing"])


def _phrases(traits: Mapping[str, str], words: Mapping[str, Any]) -> Iterator[str]:
    def word(name: str) -> str:
        value = traits.get(name, "")
        return str(words[name].get(value, value))

    if any(name in traits for name in _HAIR):
        parts = {name: word(name) for name in _HAIR}
        yield " ".join(str(words["hair"]).format(**parts).split())
    are_seen = not any(cover.items() <= traits.items() for cover in _COVERED_EYES)
    if _EYES in traits and are_seen:
        yield str(words["eyes"]).format(eye_colour=word(_EYES))
    for name in _SINGLE:
        if name in traits:
            yield word(name)
    for name, value in traits.items():
        if name not in _SILENT:
            plain = {"name": name.replace("_", " "), "value": value.replace("_", " ")}
            yield str(words["other"]).format(**plain)
