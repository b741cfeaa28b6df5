"""Kao's command line: the only file that knows both sides; it imports each when it is needed."""

import contextlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from models.errors import KaoError
from models.settings import Settings

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A face for every seed.",
)
models_cli = typer.Typer(no_args_is_help=True, help="Published models.")
dataset_cli = typer.Typer(no_args_is_help=True, help="Sets of images to train on.")
cli.add_typer(models_cli, name="models")
cli.add_typer(dataset_cli, name="dataset")
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

    from models import embedded, home, keys
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
        engine = home.prepare(settings)
        keys.ensure_first_key(engine, settings)
        engine.dispose()
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
    home.prepare(settings).dispose()
    run(settings)


@cli.command()
def worker() -> None:
    """Run a training worker alone."""
    from worker.main import work

    work(_settings())


@cli.command()
def train(
    dataset: Annotated[
        str, typer.Option(help="starter, an uploaded set, a folder or a zip.")
    ] = "starter",
    preset: Annotated[str, typer.Option(help="classic, modern-64 or smoke.")] = "modern-64",
    minutes: Annotated[float | None, typer.Option(help="Stop after so many minutes.")] = None,
    images: Annotated[int | None, typer.Option(help="Stop after so many images.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Stop after so many passes.")] = None,
    limit: Annotated[int | None, typer.Option(help="Use only the first N images.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights and draws.")] = None,
    promote: Annotated[bool, typer.Option(help="Serve the result by default.")] = False,
    resume: Annotated[str | None, typer.Option(help="Go on with this run.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Another recipe field, as name=JSON.")
    ] = None,
) -> None:
    """Train in this terminal; Ctrl-C ends the run well, with a model of what is there."""
    from models import home, recipes, runs
    from worker.supervisor import Supervisor

    settings = _settings()
    engine = home.prepare(settings)
    if resume is not None:
        run = runs.get(engine, resume)
        if run["state"] != "queued":
            run = runs.resume(engine, resume)
    else:
        asked: dict[str, Any] = {"preset": preset, "dataset": _dataset(dataset)}
        given = {"minutes": minutes, "images": images, "epochs": epochs}
        given |= {"dataset_limit": limit, "seed": seed}
        asked |= {name: value for name, value in given.items() if value is not None}
        asked |= {"promote": "always"} if promote else {}
        asked |= dict(_field(text) for text in set_ or [])
        run, _ = runs.create(engine, recipes.resolve(asked), asked)
    claimed = runs.claim(engine, run["id"])
    if claimed is None:
        raise KaoError(f"Run {run['id']} was taken by a worker; watch it there.")
    supervisor = Supervisor(settings, engine, run["id"], claimed[1], terminal=True)
    signal.signal(signal.SIGINT, lambda *_: supervisor.finish())
    signal.signal(signal.SIGTERM, lambda *_: supervisor.hand_back())
    state = supervisor.watch()
    row = runs.get(engine, run["id"])
    if state != "succeeded":
        raise KaoError(f"Run {run['id']} is {state}. {row['error'] or ''}".strip())
    out.print(f"Run {run['id']} published {row['version']}")
    out.print(f"Try: kao sample --model {row['version'][:12]} --seed 42 --out face.png")


def _dataset(name: str) -> str:
    if name == "starter" or not Path(name).exists():
        return name
    from worker.datasets.sources import LOCAL

    return f"{LOCAL}{Path(name).absolute()}"


def _field(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


@cli.command()
def sample(
    seed: Annotated[str, typer.Option(help="Any text.")],
    file: Annotated[Path, typer.Option("--out", help="A .png, .webp or .jpg file.")],
    model: Annotated[
        str, typer.Option(help="An alias, a version or its first digits.")
    ] = "default",
    size: Annotated[int, typer.Option(min=16, max=1024)] = 128,
    psi: Annotated[float, typer.Option(min=0, max=1.5)] = 1.0,
) -> None:
    """Draw one face into a file, as the app would."""
    from app.avatars import imaging
    from models import bundle, home, latents, storage
    from models.registry import Registry

    settings = _settings()
    registry = Registry(home.prepare(settings), settings.storage)
    version = registry.resolve(model)
    drawer = bundle.verify(registry.folder(version), version, settings.threads or 1)
    z = latents.derive(seed, drawer.card.network.latent)
    pixels = drawer.draw(z[None], psi)[0]
    with storage.whole_file(file) as temporary:
        temporary.write_bytes(imaging.encode(pixels, size, imaging.format_of(file.suffix)))
    out.print(f"{file}: seed {seed!r}, model {version[:12]}")


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
def promote(model: str) -> None:
    """Serve this model by default."""
    out.print(f"default is now {_registry().promote(model)}")


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
    return Registry(home.prepare(settings), settings.storage)


@dataset_cli.command("list")
def dataset_list() -> None:
    """The sets that a run can name."""
    from models import home
    from models.datasets import catalogue

    table = Table("name", "images", "size", "licence")
    table.add_row("starter", "any number", "", "CC0-1.0")
    for row in catalogue.listed(home.prepare(_settings())):
        table.add_row(
            row["name"], f"{row['images']:,}", f"{row['bytes'] / 1e6:.1f} MB", row["licence"]
        )
    out.print(table)


@dataset_cli.command("pack")
def dataset_pack(
    source: str, size: int = 64, limit: Annotated[int | None, typer.Option()] = None
) -> None:
    """Decode a set now, so that the next run need not; tells what was skipped."""
    from rich.progress import Progress

    from worker.datasets.packing import pack

    settings = _settings()
    with Progress(console=err, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("packing", total=None)
        packed = pack(
            source,
            size,
            settings.cache,
            limit=limit,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    for skipped in packed.skipped:
        err.print(f"skipped {skipped.name}: {skipped.reason}", highlight=False)
    out.print(f"{packed.count:,} images of {packed.size}×{packed.size}, {packed.fingerprint[:16]}")


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
        tell("torch", True, f"{version('torch')}, {_device()}")
    except PackageNotFoundError:
        tell("torch", False, "not installed: this machine can serve, not train; `make install`")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    tell("CPU cores", True, f"{cores}, KAO_THREADS={settings.threads or 'not set'}")
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


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name(0)
    if shutil.which("nvidia-smi"):
        return "CPU only, though an NVIDIA driver is here: install the CUDA build (`make install`)"
    return "CPU"


def _answers(settings: Settings) -> bool:
    import redis

    try:
        with redis.from_url(settings.redis, socket_timeout=2, socket_connect_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


if __name__ == "__main__":
    main()
