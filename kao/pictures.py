"""The same pictures without a server: a command a kind, with the same parameters."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from app.avatars.encode import provenance
from app.avatars.encode.formats import of_extension
from app.avatars.request.parameters import Parameter
from app.avatars.request.picture_request import asked
from app.avatars.request.picture_types import AVATAR, KINDS, Kind
from app.errors import InvalidParameter
from models import bootstrap
from models.faces import latents
from models.faces.attributes import RESERVED
from models.registry import Registry
from models.settings import Settings
from models.storage import atomic

Traits = Annotated[
    list[str] | None, typer.Option("--trait", help="name=value; `kao models show` lists them.")
]
Out = Annotated[Path, typer.Option("--out", help="The file; its extension is the format.")]


cli = typer.Typer()


@cli.command()
def identify(file: Path) -> None:
    """Say which model and parameters made a picture."""
    stamp = provenance.identify(file)
    words = provenance.words(stamp)
    for name, value in {"picture": words.pop(""), **words, "model": stamp.model}.items():
        # repr where a value would spoil the terminal.
        typer.echo(f"{name}: {value if value.isprintable() else repr(value)}")


def draw(kind: Kind, given: dict[str, str], out: Path, settings: Settings) -> str:
    """Write the file. Returns the picture's address. Raises as the server answers."""
    if kind is AVATAR and "seed" not in given:
        given = {**given, "seed": latents.random_seed()}
    wanted = asked(kind, {"format": of_extension(out.suffix), **given})
    registry = Registry(bootstrap.prepare(settings), settings.blobs)
    version = registry.resolve(wanted.model)
    drawer = registry.load(version, settings.threads or 1)
    wanted = wanted.of(drawer.card)
    stamp = wanted.stamp(version)
    with atomic.whole_file(out) as temporary:
        temporary.write_bytes(kind.draw(wanted.values, drawer, stamp))
    return stamp.address


def _command(kind: Kind) -> Callable[..., None]:
    def command(out: Path, trait: list[str] | None, **options: str | None) -> None:
        given = {name.rstrip("_"): text for name, text in options.items() if text is not None}
        given |= dict(map(_pair, trait or ()))
        typer.echo(f"{out}: {draw(kind, given, out, Settings())}")

    # typer reads options from a signature, and these are rows of a table.
    keyword = inspect.Parameter.KEYWORD_ONLY
    shown = [inspect.Parameter("out", keyword, annotation=Out)]
    shown += [inspect.Parameter("trait", keyword, default=None, annotation=Traits)]
    shown += [_option(row) for row in kind.rows]
    command.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return command


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or name in RESERVED:
        raise InvalidParameter("trait", f"is {text[:40]!r}", "name=value, as hair_colour=pink")
    return name, value


def _option(row: Parameter) -> inspect.Parameter:
    # `from` is Python's own word; the rest is the same on both.
    name = f"{row.name}_" if row.name == "from" else row.name
    told = row.text if row.default is None else f"{row.text} [default: {row.default}]"
    option = typer.Option(f"--{row.name.replace('_', '-')}", help=told)
    default: Any = inspect.Parameter.empty if row.required else None
    kind = Annotated[str, option] if row.required else Annotated[str | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


for _kind in KINDS:
    cli.command(
        "sample" if _kind is AVATAR else _kind.path.removeprefix("/"),
        help=f"{_kind.summary}, into a file, as the server would draw it.",
    )(_command(_kind))
