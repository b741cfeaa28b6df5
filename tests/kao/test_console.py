"""What commands print: whole tables in files, and no control characters of a name."""

import io

import pytest
from rich.table import Table

from kao.console import CommandConsole
from tests.kao.conftest import Kao


def test_a_name_that_the_terminal_cannot_show_ends_no_command(kao: Kao) -> None:
    assert kao("keys", "create", "顔", PYTHONIOENCODING="ascii").code == 0
    code, table, message = kao("keys", "list", PYTHONIOENCODING="ascii")
    assert (code, message) == (0, "")
    assert "\\u9854" in table


def test_a_table_in_a_file_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "/".join(["a-folder-with-a-long-name"] * 10)
    table = Table("path")
    table.add_row(text)
    file = io.StringIO()
    CommandConsole(file=file).print(table)
    assert text in file.getvalue()
    monkeypatch.setenv("COLUMNS", "40")
    CommandConsole(file=file).print(table)
    assert max(map(len, file.getvalue().splitlines()[-3:])) <= 40
    monkeypatch.setenv("COLUMNS", "0")  # as where a terminal has no size
    CommandConsole(file=(whole := io.StringIO())).print(table)
    assert text in whole.getvalue()


def test_a_terminal_gets_no_control_character_of_a_name() -> None:
    """A column or a file may be called `ESC ]0;title BEL`, or `:warning:`."""
    table = Table("name")
    table.add_row("cap\x1b[31m")
    file = io.StringIO()
    CommandConsole(file=file).print("left out hair\x1b]0;title\x07 :warning: \x9b\n", table)
    assert "hair?]0;title? :warning: ?\n" in file.getvalue()
    assert "cap?[31m" in file.getvalue()
