"""The two streams that commands print to."""

import io
import os
import sys

from rich.console import ConsoleOptions

from worker.terminal import PlainConsole

FILE_WIDTH = 1_000  # columns; the longest row of a table, with two paths, has about 300


class CommandConsole(PlainConsole):
    """A console that cuts nothing where it writes to a file or a pipe.

    Rich assumes 80 columns there, and a table would lose the end of a digest or a path that
    `grep` or a script looks for.
    """

    @property
    def options(self) -> ConsoleOptions:
        """Rich's options; in a file as wide as COLUMNS says, or wide enough for every table."""
        if self.is_terminal:
            return super().options
        columns = os.environ.get("COLUMNS", "")
        width = int(columns) if columns.isdecimal() else 0  # 0: a terminal without a size
        return super().options.update_width(width or FILE_WIDTH)


for _stream in (sys.stdout, sys.stderr):
    # A name that the terminal's encoding lacks must not end a command that has done its work.
    if isinstance(_stream, io.TextIOWrapper) and _stream.errors == "strict":
        _stream.reconfigure(errors="backslashreplace")
out = CommandConsole()
err = CommandConsole(stderr=True)
