"""The macros of `studio_parts.html`."""

from typing import Any

import jinja2
import pytest

from app.studio import pages, translations
from tests.support.durations import DURATIONS


@pytest.mark.parametrize(("seconds", "text"), DURATIONS.items())
def test_a_duration_has_hours_and_minutes(seconds: float, text: str) -> None:
    words = translations.words("en")
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(pages.TEMPLATES))

    def translate(key: str, **values: Any) -> str:
        return words[key].format(**values)

    parts: Any = environment.get_template("studio_parts.html").make_module({"t": translate})
    assert parts.duration(seconds) == text
