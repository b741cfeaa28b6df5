"""Every command and option is documented, and the documentation names none that does not exist."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from kao.main import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
spec = importlib.util.spec_from_file_location("commands", ROOT / "docs" / "commands.py")
assert spec is not None
assert spec.loader is not None
commands = importlib.util.module_from_spec(spec)
spec.loader.exec_module(commands)

COMMANDS: dict[str, Any] = dict(commands.commands(typer.main.get_group(cli), "kao"))
GROUPS = {" ".join(path.split()[:2]) for path in COMMANDS if path.count(" ") == 2}
# In code, `kao …` or a line of a block: the words of a command, then its options.
CODE = re.compile(r"`([^`\n]+)`|^ {4,}(\S.*)$", re.MULTILINE)
COMMAND = re.compile(r"(?:^|[/\s$])(?<!/srv/)(?<!/opt/)kao ([a-z]+)( [a-z-]+)?([^|;&#]*)")


def mentions(page: Path) -> Iterator[tuple[str, str]]:
    """Each command that a page names in code, and the text after it."""
    for quote, block in CODE.findall(page.read_text()):
        for first, second, text in COMMAND.findall(quote or block):
            command = f"kao {first}"
            yield (command + second, text) if command in GROUPS else (command, second + text)


def test_the_page_is_what_the_commands_say() -> None:
    assert commands.PAGE.read_text() == commands.page(), "run `make commands`"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_and_option_says_what_it_is(command: str) -> None:
    silent = [one.name for one in COMMANDS[command].params if not getattr(one, "help", None)]
    assert silent == []


def test_every_command_is_in_the_table_of_operations() -> None:
    names = {command for command, _ in mentions(ROOT / "docs" / "operations.md")}
    mains = {path if path.count(" ") == 1 else path.rpartition(" ")[0] for path in COMMANDS}
    assert mains <= {" ".join(name.split()[:2]) for name in names}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_what_exists(page: Path) -> None:
    for command, text in mentions(page):
        assert command in COMMANDS or command in GROUPS, command
        if command in COMMANDS:
            options = {name for one in COMMANDS[command].params for name in one.opts}
            options |= {name for one in COMMANDS[command].params for name in one.secondary_opts}
            assert set(re.findall(r"(?<=\s)--[a-z-]+", text)) <= options | {"--help"}, command
