"""The command line: which command is in which module.

Only `kao` imports both `app` and `worker`.
"""

import importlib
import sys
from typing import Any

import typer
import typer.core
from rich.console import Console

from models.errors import KaoError

# Each module is imported when one of its commands is used: those of pictures and training take
# most of a second.
PICTURES = (
    "sample",
    "grow",
    "morph",
    "walk",
    "mix",
    "blend",
    "family",
    "sheet",
    "og",
    "identify",
)
COMMANDS = {
    "up": "kao.up",
    "serve": "kao.up",
    "worker": "kao.up",
    "train": "kao.training",
    "evaluate": "kao.training",
    "sign": "kao.keys",
    "gc": "kao.maintenance",
    "backup": "kao.maintenance",
    "restore": "kao.maintenance",
    "doctor": "kao.doctor",
}
GROUPS = {"models": "kao.models", "dataset": "kao.datasets", "keys": "kao.keys"}


class LazyCommands(typer.core.TyperGroup):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*COMMANDS, *GROUPS, *PICTURES]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in GROUPS:
            group = typer.main.get_group(importlib.import_module(GROUPS[cmd_name]).cli)
            group.name = cmd_name
            return group
        if cmd_name in PICTURES:
            pictures = importlib.import_module("kao.pictures").cli
            return typer.main.get_group(pictures).get_command(ctx, cmd_name)
        if cmd_name in COMMANDS:
            module: Any = importlib.import_module(COMMANDS[cmd_name])
            # typer makes a click command of a function through an app with that one command.
            single = typer.Typer(add_completion=False)
            single.command(cmd_name)(getattr(module, cmd_name))
            return typer.main.get_command(single)
        return None


cli = typer.Typer(
    cls=LazyCommands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A face for every seed.",
)
err = Console(stderr=True)


@cli.callback()
def _root() -> None:
    """A face for every seed."""


def main() -> None:
    """Run a command. An error that the user can correct becomes one sentence, not a traceback."""
    from pydantic import ValidationError

    try:
        cli()
    except (KaoError, ValueError) as error:
        if isinstance(error, ValidationError):
            message = "; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors())
        else:
            message = str(error)
        err.print(f"[red]kao:[/] {message}", highlight=False)
        sys.exit(1)
