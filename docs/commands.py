"""Writes docs/commands.md: every command of `kao` with its options (`make commands`)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from kao.main import cli

PAGE = Path(__file__).parent / "commands.md"
INTRODUCTION = """\
# Commands

`kao COMMAND --help` shows the same. `make commands` writes this page from the commands themselves,
and a test compares the two. Settings come from variables ([operations](operations.md#environment));
what each recipe field does is in [training](training.md).
"""


def commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command below a group with its full name, in the order of --help."""
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if hasattr(command, "list_commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def row(parameter: Any) -> str:
    """A table row for an argument or option."""
    is_option = parameter.param_type_name == "option"
    names = [*parameter.opts, *parameter.secondary_opts] if is_option else [parameter.name.upper()]
    text = " ".join((parameter.help or "").split())
    if parameter.required:
        text = f"{text} Required.".strip()
    elif not callable(parameter.default) and parameter.default not in (None, False, ""):
        text = f"{text} Default: `{parameter.default}`.".strip()
    return f"| {', '.join(f'`{name}`' for name in names)} | {text.replace('|', chr(92) + '|')} |"


def section(path: str, command: Any) -> Iterator[str]:
    """A command's heading, summary and table."""
    yield f"\n## {path}\n"
    yield " ".join((command.help or "").split())
    parameters = [one for one in command.params if one.name != "help"]
    if parameters:
        yield "\n| option | |\n|---|---|"
        yield from map(row, parameters)


def page() -> str:
    """The whole page."""
    lines = [INTRODUCTION.rstrip()]
    for path, command in commands(typer.main.get_group(cli), "kao"):
        lines += section(path, command)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
