"""A console for text that may hold what a user chose: names of files, labels and datasets.

Markup and emoji codes are off, so that `[/x]` or `:a:` is text.
"""

import re
from typing import IO, Any

from rich.console import Console
from rich.text import Text

# A terminal would obey them: ESC begins colours, titles and whole keystrokes. Not \t and \n.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class PlainConsole(Console):
    """A console that prints texts as they are, but for their control characters."""

    def __init__(self, *, stderr: bool = False, file: IO[str] | None = None) -> None:
        super().__init__(
            stderr=stderr, file=file, markup=False, emoji=False, highlight=False, soft_wrap=True
        )

    def render_str(self, text: str, **options: Any) -> Text:
        """As Rich's, with `?` in the place of each control character."""
        return super().render_str(_CONTROL.sub("?", text), **options)
