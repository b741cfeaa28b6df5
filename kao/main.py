"""The command line: which command is in which module.

Only `kao` imports both `app` and `worker`. A command's module is imported when the command is
used: those of pictures and training take most of a second. `tests/kao/test_main.py` compares this
table with the modules.
"""

import contextlib
import importlib
import logging
import os
import signal
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer
import typer.core

# Module → command → summary. The commands of GROUPS have subcommands.
COMMANDS = {
    "kao.up": {
        "up": "Run everything in this terminal: app, worker and, without REDIS_URL, a queue.",
        "serve": "Run the app alone.",
        "worker": "Run a training worker alone.",
    },
    "kao.training": {
        "train": "Train in this terminal; Ctrl-C ends the run and publishes its model.",
    },
    "kao.evaluation": {
        "evaluate": "Measure a model's faces against real ones: FD, KID, precision, recall, "
        "coverage, novelty.",
    },
    "kao.enlarging": {
        "enlarge": "Train an enlarger for a model and publish both: the same faces, crisp when "
        "large.",
    },
    "kao.keys": {
        "sign": "Sign the address of a picture that is not public (KAO_PUBLIC_AVATARS=false).",
    },
    "kao.maintenance": {
        "verify": "Read every stored file that the database names, and list the damage.",
        "gc": "Find files that no run, model or dataset needs; remove them with --yes.",
        "backup": "Write database and blobs into one archive, while everything runs.",
        "restore": "Fill an empty KAO_HOME, or DATABASE_URL, from an archive of `kao backup`, "
        "verified.",
    },
    "kao.doctor": {"doctor": "Check what this machine has and what it lacks."},
}
GROUPS = {
    "models": ("kao.models", "Published models."),
    "dataset": ("kao.datasets", "Datasets to train on."),
    "keys": ("kao.keys", "API keys: who may do what."),
}
# Each picture of `GET /…` as a command, and `identify`; the summaries are those of --help.
PICTURES = {
    "sample": "The face of a seed, into a file.",
    "grow": "A face growing up, into a file.",
    "morph": "From one face to another, into a file.",
    "walk": "An endless walk through faces of one seed, into a file.",
    "mix": "The shapes of one face, the details of another, into a file.",
    "blend": "The face of a team, into a file.",
    "family": "The children of two faces, into a file.",
    "sheet": "Many faces in one picture, into a file.",
    "og": "A card for links (Open Graph), into a file.",
    "identify": "Say which model and parameters made a picture.",
}
_MODULES = {name: module for module, commands in COMMANDS.items() for name in commands}
SUMMARIES = {
    **{name: text for commands in COMMANDS.values() for name, text in commands.items()},
    **{name: text for name, (_, text) in GROUPS.items()},
    **PICTURES,
}


class LazyCommands(typer.core.TyperGroup):
    """A group whose commands are imported when they are used, and not to list them."""

    listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        """Every command, in the order of --help."""
        return list(SUMMARIES)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print --help from the summaries, without importing any command."""
        self.listing = True
        super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Complete a command's name, also without importing any."""
        self.listing = True
        return super().shell_complete(ctx, incomplete)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command; an error suggests those of similar names, of which typer knows none."""
        self.commands = dict.fromkeys(SUMMARIES, typer.core.TyperCommand(None))
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command; None where there is none of that name."""
        if self.listing:
            return typer.core.TyperCommand(cmd_name, help=SUMMARIES[cmd_name])
        if cmd_name in GROUPS:
            group = typer.main.get_group(importlib.import_module(GROUPS[cmd_name][0]).cli)
            group.name = cmd_name
            return group
        if cmd_name in PICTURES:
            pictures = importlib.import_module("kao.pictures").cli
            return typer.main.get_group(pictures).get_command(ctx, cmd_name)
        if cmd_name in _MODULES:
            module: Any = importlib.import_module(_MODULES[cmd_name])
            # typer makes a click command of a function through an app with that one command.
            single = typer.Typer(add_completion=False)
            single.command(cmd_name)(getattr(module, cmd_name))
            return typer.main.get_command(single)
        return None


cli = typer.Typer(
    cls=LazyCommands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    help="A face for every seed.",
)


def _print_version(is_requested: bool) -> None:
    if is_requested:
        from importlib.metadata import version

        typer.echo(f"kao {version('kao')}")
        raise typer.Exit


@cli.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """A face for every seed."""
    from models import logs

    logs.configure(logging.WARNING)
    if any(name.upper().startswith("KAO_") for name in os.environ):
        _warn_of_unknown_variables()


def _warn_of_unknown_variables() -> None:
    from kao.console import err
    from kao.environment import explain_unknown

    for name, sentence in explain_unknown(list(os.environ)):
        err.print(f"kao: {sentence}", style="yellow")
        del os.environ[name]  # the processes of `kao up` need not say it again


# Commands that handle signals themselves, and whose exit code says which one ended them.
SERVICES = ("up", "serve", "worker")


@contextlib.contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Let SIGTERM and a closed terminal end a command as Ctrl-C does, after it has cleaned up.

    By default they end it at once, and `kao backup` would leave its copy of every key. Yields the
    exit code, once a signal came: a library that is just imported may raise an error of its own.
    """
    codes: list[int] = []
    if (sys.argv[1:2] and sys.argv[1] in SERVICES) or not hasattr(signal, "SIGHUP"):
        yield codes
        return
    from kao.processes import on_hangup

    def end(number: int) -> None:
        codes.append(128 + number)
        sys.exit(codes[0])

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    if before[signal.SIGTERM] is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: end(signal.SIGTERM))
    on_hangup(lambda: end(signal.SIGHUP))
    try:
        yield codes
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> None:
    """Run a command. An error that the user can correct becomes one sentence, not a traceback."""
    codes: list[int] = []
    try:
        with _interruptible() as codes:
            cli()
    except Exception as error:
        if codes:
            sys.exit(codes[0])
        from kao.console import err
        from kao.errors import explain

        message = explain(error, sys.argv[1:])
        if message is None:
            raise
        err.print(f"kao: {message}", style="red")
        sys.exit(1)
