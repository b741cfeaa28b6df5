"""Commands that write pictures without a server: one per picture type, with the same parameters."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from app.avatars import service, traits
from app.avatars.encode import provenance
from app.avatars.formats import EXTENSIONS, parse_extension
from app.avatars.request.parameters import Parameter
from app.avatars.request.picture_request import PictureRequest
from app.avatars.request.picture_types import AVATAR, PICTURE_TYPES, PictureType
from app.errors import InvalidParameter, UnknownExtension
from models import bootstrap
from models.errors import KaoError
from models.faces import latents
from models.faces.attributes import RESERVED_NAMES
from models.registry import Registry
from models.settings import Settings
from models.storage import atomic

Traits = Annotated[
    list[str] | None, typer.Option("--trait", help="name=value; `kao models show` lists them.")
]
Out = Annotated[Path, typer.Option("--out", help="The file; its extension is the format.")]


cli = typer.Typer()


@cli.command()
def identify(
    file: Annotated[Path, typer.Argument(help="A picture that Kao drew, in any of its formats.")],
) -> None:
    """Print the model and the parameters of a picture."""
    stamp = provenance.identify(file)
    path, parameters = provenance.parse_address(stamp)
    for name, value in {"picture": path, **parameters, "model": stamp.model}.items():
        # repr() where control characters would spoil the terminal.
        typer.echo(f"{name}: {value if value.isprintable() else repr(value)}")


def render(picture_type: PictureType, texts: dict[str, str], out: Path, settings: Settings) -> str:
    """Write a picture to a file. Returns its address. Raises the same errors as the server."""
    if picture_type is AVATAR and "seed" not in texts:
        texts = {**texts, "seed": latents.random_seed()}
    request = PictureRequest.parse(picture_type, {"format": _format_of(out), **texts})
    registry = Registry(bootstrap.prepare(settings), settings.blobs)
    version = registry.resolve(request.model)
    drawer = registry.load(version, settings.threads or 1)
    request = traits.resolve(request, drawer.card)
    with atomic.whole_file(out) as temporary:
        temporary.write_bytes(service.render_alone(drawer, version, request))
    return request.address(version)


def _format_of(out: Path) -> str:
    try:
        return parse_extension(out.suffix)
    except UnknownExtension:
        endings = [f".{name}" for name in EXTENSIONS]
        raise KaoError(f"--out {out} must end in one of {', '.join(endings)}.") from None


def command_name(picture_type: PictureType) -> str:
    """`sample` for /avatar; the others are called as their paths are."""
    return "sample" if picture_type is AVATAR else picture_type.name


def _make_command(picture_type: PictureType) -> Callable[..., None]:
    def command(out: Path, trait: list[str] | None, **options: str | None) -> None:
        texts = {name.rstrip("_"): text for name, text in options.items() if text is not None}
        texts |= dict(map(_parse_trait, trait or ()))
        try:
            address = render(picture_type, texts, out, Settings())
        except InvalidParameter as error:  # its name is that of the HTTP interface
            raise KaoError(_name_option(str(error), [*options, "format"])) from None
        typer.echo(f"{out}: {address}")

    # typer reads the options from the signature, which comes from the table of parameters.
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("out", keyword, annotation=Out)]
    parameters += [inspect.Parameter("trait", keyword, default=None, annotation=Traits)]
    parameters += [_option(row) for row in picture_type.parameters]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _name_option(message: str, options: list[str]) -> str:
    for option in options:
        name = option.rstrip("_")
        text = "The format of --out" if name == "format" else f"--{name.replace('_', '-')}"
        message = message.replace(f"{name!r} ", f"{text} ", 1)
    return message


def _parse_trait(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or name in RESERVED_NAMES:
        raise KaoError(f"--trait {text[:40]!r} must be name=value, as hair_colour=pink.")
    return name, value


def _option(row: Parameter) -> inspect.Parameter:
    # `from` is a keyword of Python; all other names are the same in both.
    name = f"{row.name}_" if row.name == "from" else row.name
    help = row.description if row.default is None else f"{row.description} [default: {row.default}]"
    option = typer.Option(f"--{row.name.replace('_', '-')}", help=help)
    default: Any = inspect.Parameter.empty if row.required else None
    annotation = Annotated[str, option] if row.required else Annotated[str | None, option]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


for _picture_type in PICTURE_TYPES:
    cli.command(
        command_name(_picture_type),
        help=f"{_picture_type.summary}, written to a file with the same bytes as the server's.",
    )(_make_command(_picture_type))
