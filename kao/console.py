"""The two streams that commands print to.

Markup is off: a name such as `[/x]` comes from a user, and is text.
"""

import os
from typing import IO

from rich.console import Console, ConsoleOptions

FILE_WIDTH = 1_000  # columns; the longest row of a table, with two paths, has about 300


class CommandConsole(Console):
    """A console that cuts nothing where it writes to a file or a pipe.

    Rich assumes 80 columns there, and a table would lose the end of a digest or a path that
    `grep` or a script looks for.
    """

    def __init__(self, *, stderr: bool = False, file: IO[str] | None = None) -> None:
        super().__init__(stderr=stderr, file=file, markup=False, highlight=False, soft_wrap=True)

    @property
    def options(self) -> ConsoleOptions:
        """Rich's options; in a file as wide as COLUMNS says, or wide enough for every table."""
        if self.is_terminal:
            return super().options
        columns = os.environ.get("COLUMNS", "")
        return super().options.update_width(int(columns) if columns.isdigit() else FILE_WIDTH)


out = CommandConsole()
err = CommandConsole(stderr=True)
