"""Kao's command line: the only file that knows both sides; it imports each when it is needed."""

import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
from rich.console import Console
from rich.table import Table

from app.access import commands as access
from models import commands as upkeep
from models.errors import KaoError
from models.settings import Settings
from worker import commands as training

# Commands of app/avatars/commands.py, which is read when one is used: it takes most of a second.
PICTURES = ("sample", "morph", "walk", "mix", "blend", "family", "sheet", "og", "identify")


class _WithPictures(typer.core.TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *PICTURES]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in PICTURES:
            return super().get_command(ctx, cmd_name)
        from app.avatars import commands

        return typer.main.get_group(commands.cli).get_command(ctx, cmd_name)


cli = typer.Typer(
    cls=_WithPictures,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A face for every seed.",
)
models_cli = typer.Typer(no_args_is_help=True, help="Published models.")
cli.add_typer(models_cli, name="models")
cli.add_typer(training.datasets, name="dataset")
cli.add_typer(access.cli, name="keys")
cli.command()(access.sign)
cli.command()(training.train)
cli.command()(training.evaluate)
cli.command()(upkeep.gc)
cli.command()(upkeep.backup)
cli.command()(upkeep.restore)
out = Console()
err = Console(stderr=True)

Port = Annotated[int | None, typer.Option(help="Port of the app (KAO_PORT).")]
Host = Annotated[str | None, typer.Option(help="Address to bind (KAO_HOST).")]


def main() -> None:
    """Run a command; what a person can mend is told in a sentence, not a traceback."""
    from pydantic import ValidationError

    try:
        cli()
    except (KaoError, ValueError) as error:
        if isinstance(error, ValidationError):
            told = "; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors())
            err.print(f"[red]kao:[/] {told}", highlight=False)
        else:
            err.print(f"[red]kao:[/] {error}", highlight=False)
        sys.exit(1)


def _settings(**overrides: Any) -> Settings:
    return Settings(**{name: value for name, value in overrides.items() if value is not None})


@cli.command()
def up(port: Port = None, host: Host = None) -> None:
    """Run everything in this terminal: app, worker and, without REDIS_URL, a queue."""
    import fcntl

    from models import embedded, home
    from models.processes import Child, Processes

    settings = _settings(port=port, host=host)
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise KaoError(
                f"`kao up` already runs on {settings.home}. Stop it, or set another KAO_HOME."
            ) from None
        _refuse_taken_port(settings)
        _unlocked(home.prepare(settings), settings).dispose()
        # It is registered now; a child would only show it in its environment.
        os.environ.pop("KAO_API_KEY", None)
        children = []
        environment = settings.environment()
        if settings.redis_url is None:
            binary = embedded.server()
            if binary is None:
                raise KaoError("No Valkey or Redis server found: install one, or set REDIS_URL.")
            queue = embedded.command(settings, binary)
            children.append(Child("queue", queue, {}, grace=10))
        me = [sys.executable, "-m", "kao"]
        children.append(Child("worker", [*me, "worker"], environment, grace=45))
        children.append(Child("app", [*me, "serve"], environment, grace=12))
        _greet(settings)
        Processes(children).run()


def _unlocked(engine: Any, settings: Settings) -> Any:
    """The same database, once somebody has a key to it. Raises KaoError, before any start."""
    from models import keys

    keys.ensure_first_key(engine, settings)
    keys.refuse_without_key(engine, settings)
    return engine


def _refuse_taken_port(settings: Settings) -> None:
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise KaoError(
                f"{settings.host}:{settings.port} cannot be used ({error.strerror}). "
                "Choose another with --port or KAO_PORT."
            ) from None


def _greet(settings: Settings) -> None:
    host = "localhost" if settings.host in ("127.0.0.1", "0.0.0.0") else settings.host
    url = f"http://{host}:{settings.port}"
    file = settings.home / "api-key"
    header = f'-H "Authorization: Bearer $(cat {file})"'
    body = '\'{"preset":"modern-64","minutes":3}\''
    err.print(f"\n  [bold]Kao[/] 顔  {url}/avatar?seed=42", highlight=False)
    err.print(f"  API key in {file}; everything lives in {settings.home}\n", highlight=False)
    for line in (
        f'curl -s "{url}/avatar?seed=42" -o face.png',
        f"curl -X POST {url}/train {header} -H 'content-type: application/json' -d {body}",
        f"curl -s {url}/models",
    ):
        err.print(f"  [dim]$[/] {line}", highlight=False, soft_wrap=True)
    err.print()


@cli.command()
def serve(port: Port = None, host: Host = None) -> None:
    """Run the app alone."""
    from app.server import serve as run
    from models import home

    settings = _settings(port=port, host=host)
    _unlocked(home.prepare(settings), settings).dispose()
    run(settings)


@cli.command()
def worker() -> None:
    """Run a training worker alone."""
    from worker.main import work

    work(_settings())


@models_cli.command("list")
def models_list() -> None:
    """Every version, the newest first."""
    registry = _registry()
    names: dict[str, list[str]] = {}
    for alias, version in registry.aliases().items():
        names.setdefault(version, []).append(alias)
    table = Table("version", "aliases", "published", "size", "images seen", "dataset")
    for row in registry.listed():
        card = row["card"]
        table.add_row(
            row["version"][:16],
            ", ".join(names.get(row["version"], [])),
            row["published"][:19],
            f"{row['bytes'] / 1e6:.1f} MB",
            f"{card['training']['images']:,}",
            card["dataset"]["name"],
        )
    out.print(table)


@models_cli.command("show")
def models_show(model: str = "default") -> None:
    """A model's card."""
    row = _registry().get(model)
    out.print_json(data={"version": row["version"], **row["card"]})


@models_cli.command()
def promote(model: str, force: bool = False) -> None:
    """Serve this model by default; --force though it lacks traits of the one that serves."""
    out.print(f"default is now {_registry().promote(model, force)}")


@models_cli.command()
def rollback() -> None:
    """Serve again what was served before."""
    out.print(f"default is now {_registry().roll_back()}")


@models_cli.command("export")
def export(model: str, file: Path) -> None:
    """Write a model into one zip, to carry it to another machine."""
    out.print(f"{file}: {_registry().export(model, file)}")


@models_cli.command("import")
def import_(file: Path) -> None:
    """Add a model that `kao models export` wrote."""
    out.print(f"added {_registry().import_zip(file)}")


def _registry() -> Any:
    from models import home
    from models.registry import Registry

    settings = _settings()
    return Registry(home.prepare(settings), settings.blobs)


@cli.command()
def doctor() -> None:
    """Say what is there and what is missing."""
    from importlib.metadata import PackageNotFoundError, version

    from models import embedded

    settings = _settings()
    missing = 0
    table = Table("", "", "", box=None, show_header=False)

    def tell(name: str, good: bool, text: str) -> None:
        nonlocal missing
        missing += not good
        table.add_row("[green]ok[/]" if good else "[red]missing[/]", name, text)

    tell("Python", sys.version_info >= (3, 11), sys.version.split()[0])
    try:
        tell("torch", True, version("torch"))
    except PackageNotFoundError:
        tell("torch", False, "not installed: this machine can serve, not train; `make install`")
    else:
        from worker import gpu

        tell("GPU", *gpu.told(gpu.look()))
    tell("CPU cores", True, f"{os.cpu_count()}, {settings.parallel} to use (KAO_THREADS)")
    binary = embedded.server()
    if settings.redis_url:
        tell("Redis", _answers(settings), "as REDIS_URL says")
    else:
        tell(
            "Valkey", binary is not None, str(binary or "install valkey or redis, or set REDIS_URL")
        )
    settings.home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.home).free / 1e9
    tell("disk", free > 2, f"{free:.0f} GB free at {settings.home}")
    with contextlib.suppress(KaoError):
        registry = _registry()
        chosen = registry.aliases().get("default")
        tell("default model", chosen is not None, chosen or "none yet: `kao train --promote`")
    out.print(table)
    if missing:
        raise typer.Exit(1)


def _answers(settings: Settings) -> bool:
    import redis

    try:
        with redis.from_url(settings.redis, socket_timeout=2, socket_connect_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


if __name__ == "__main__":
    main()
