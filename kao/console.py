"""The two streams that commands print to.

Markup is off: a name such as `[/x]` comes from a user, and is text.
"""

import os

from rich.console import Console, ConsoleDimensions

FILE_WIDTH = 1_000  # columns; the longest row of a table, with two paths, has about 300


class CommandConsole(Console):
    """A console that cuts nothing where it writes to a file or a pipe.

    Rich assumes 80 columns there, and a table would lose the end of a digest or a path that
    `grep` or a script looks for.
    """

    @property
    def size(self) -> ConsoleDimensions:
        """Columns and rows: those of the terminal, of COLUMNS, or wide enough for every table."""
        if self.is_terminal:
            return super().size
        columns = os.environ.get("COLUMNS", "")
        return ConsoleDimensions(int(columns) if columns.isdigit() else FILE_WIDTH, 25)


out = CommandConsole(markup=False, highlight=False, soft_wrap=True)
err = CommandConsole(stderr=True, markup=False, highlight=False, soft_wrap=True)
