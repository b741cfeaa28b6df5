"""`kao up`, `kao serve` and `kao worker`: start the parts of the service."""

import fcntl
import os
import socket
import sys
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from rich.console import Console

from kao import embedded_valkey
from kao.processes import Child, Processes
from models import bootstrap, keys
from models.errors import KaoError
from models.settings import Settings

err = Console(stderr=True)

Port = Annotated[int | None, typer.Option(help="Port of the app (KAO_PORT).")]
Host = Annotated[str | None, typer.Option(help="Address to bind (KAO_HOST).")]


def settings_from(**overrides: Any) -> Settings:
    """Settings of the environment; options that were given on the command line win."""
    return Settings(**{name: value for name, value in overrides.items() if value is not None})


def up(port: Port = None, host: Host = None) -> None:
    """Run everything in this terminal: app, worker and, without REDIS_URL, a queue."""
    settings = settings_from(port=port, host=host)
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise KaoError(
                f"`kao up` already runs on {settings.home}. Stop it, or set another KAO_HOME."
            ) from None
        _refuse_taken_port(settings)
        _unlocked(bootstrap.prepare(settings), settings).dispose()
        # It is registered now; a child would only show it in its environment.
        os.environ.pop("KAO_API_KEY", None)
        children = []
        environment = settings.environment()
        if settings.redis_url is None:
            binary = embedded_valkey.server()
            if binary is None:
                raise KaoError("No Valkey or Redis server found: install one, or set REDIS_URL.")
            queue = embedded_valkey.command(settings, binary)
            children.append(Child("queue", queue, {}, grace=10))
        me = [sys.executable, "-m", "kao"]
        children.append(Child("worker", [*me, "worker"], environment, grace=45))
        children.append(Child("app", [*me, "serve"], environment, grace=12))
        _greet(settings)
        Processes(children).run()


def _unlocked(engine: sa.Engine, settings: Settings) -> sa.Engine:
    """The same database, once somebody has a key to it. Raises KaoError, before any start."""
    keys.ensure_first_key(engine, settings)
    keys.warn_without_key(engine)
    return engine


def _refuse_taken_port(settings: Settings) -> None:
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


def serve(port: Port = None, host: Host = None) -> None:
    """Run the app alone."""
    from app.server import serve as run

    settings = settings_from(port=port, host=host)
    _unlocked(bootstrap.prepare(settings), settings).dispose()
    run(settings)


def worker() -> None:
    """Run a training worker alone."""
    from worker.main import work

    work(settings_from())
