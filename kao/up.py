"""`kao up`, `kao serve` and `kao worker`: start the parts of the service."""

import errno
import fcntl
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import sqlalchemy as sa
import typer

from kao import embedded_valkey
from kao.console import err
from kao.processes import Child, Processes
from models import bootstrap, keys, logs
from models.errors import KaoError
from models.settings import Settings
from models.storage import atomic, layout

END_TIMEOUT = 60.0  # s for the processes of a killed `kao up` to end; a worker hands back its run

Port = Annotated[int | None, typer.Option(help="Port of the app (KAO_PORT).")]
Host = Annotated[str | None, typer.Option(help="Address to bind (KAO_HOST).")]


def settings_from(**options: Any) -> Settings:
    """Settings of the environment; options of the command line take precedence."""
    return Settings(**{name: value for name, value in options.items() if value is not None})


def up(port: Port = None, host: Host = None) -> None:
    """Run everything in this terminal: app, worker and, without REDIS_URL, a queue."""
    logs.configure()
    settings = settings_from(port=port, host=host)
    atomic.private_folder(settings.home)
    with _only_one(settings), _children_lock(settings) as lock:
        _refuse_taken_port(settings)
        _prepare(settings)
        # The key is registered now; a child would only show it in its environment.
        os.environ.pop("KAO_API_KEY", None)
        children = [*_queue(settings, lock), *_python_children(settings, lock)]
        _greet(settings)
        Processes(children).run()


def serve(port: Port = None, host: Host = None) -> None:
    """Run the app alone."""
    from app.server import serve as run

    settings = settings_from(port=port, host=host)
    _refuse_taken_port(settings)
    _prepare(settings)
    run(settings)


def worker() -> None:
    """Run a training worker alone."""
    from worker.main import work

    work(settings_from())


@contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    """Hold this home's lock. Raises KaoError where another `kao up` holds it."""
    with (settings.home / "up.lock").open("w") as lock:
        if not _lock(lock.fileno()):
            raise KaoError(
                f"`kao up` already runs on {settings.home}. Stop it, or set another KAO_HOME."
            )
        yield


@contextmanager
def _children_lock(settings: Settings) -> Iterator[int]:
    """A lock that this process's children inherit, as a file descriptor.

    It is free when the last of them has ended. Those of a killed `kao up` get SIGTERM from the
    kernel, and need a while; two queues on one folder would damage it.
    """
    with (settings.home / "children.lock").open("w") as lock:
        deadline = time.monotonic() + END_TIMEOUT
        if not _lock(lock.fileno()):
            err.print(f"Waiting for the processes of an earlier `kao up` on {settings.home}.")
            while not _lock(lock.fileno()):
                if time.monotonic() > deadline:
                    raise KaoError(
                        f"Processes of an earlier `kao up` still run on {settings.home}: "
                        f"`fuser {settings.home / 'children.lock'}` lists them. Stop them."
                    )
                time.sleep(0.2)
        yield lock.fileno()


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _queue(settings: Settings, lock: int) -> list[Child]:
    """The embedded queue; none where REDIS_URL names a server."""
    if settings.redis_url is not None:
        return []
    binary = embedded_valkey.find_server()
    if binary is None:
        raise KaoError("No Valkey or Redis server found: install one, or set REDIS_URL.")
    queue = Child(
        "queue",
        embedded_valkey.command(settings, binary),
        environment={},
        grace=10,
        output=embedded_valkey.log_file(settings),
        after_death=lambda _: embedded_valkey.set_aside_damaged(settings),
        descriptors=(lock,),
    )
    return [queue]


def _python_children(settings: Settings, lock: int) -> list[Child]:
    """The worker and the app."""
    environment, grace = settings.environment(), {"worker": 45, "serve": 12}
    return [
        Child(
            "app" if name == "serve" else name,
            [sys.executable, "-m", "kao", name],
            environment,
            grace=grace[name],
            descriptors=(lock,),
        )
        for name in ("worker", "serve")
    ]


def _prepare(settings: Settings) -> None:
    """Create the tables, the shipped models and a first key."""
    engine: sa.Engine = bootstrap.prepare(settings)
    keys.ensure_first_key(engine, settings)
    keys.warn_without_key(engine)
    engine.dispose()


def _refuse_taken_port(settings: Settings) -> None:
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        is_port = error.errno in (errno.EADDRINUSE, errno.EACCES)
        remedy = "port with --port or KAO_PORT" if is_port else "address with --host or KAO_HOST"
        raise KaoError(
            f"{_authority(settings.host, settings.port)} cannot be used ({error.strerror}). "
            f"Choose another {remedy}."
        ) from None


def _authority(host: str, port: int) -> str:
    """Host and port as in a URL: an IPv6 address is in brackets (RFC 3986 §3.2.2, RFC 6874)."""
    return f"[{host.replace('%', '%25')}]:{port}" if ":" in host else f"{host}:{port}"


def _greet(settings: Settings) -> None:
    hosts_of_this_machine = ("127.0.0.1", "0.0.0.0", "::")
    host = "localhost" if settings.host in hosts_of_this_machine else settings.host
    url = f"http://{_authority(host, settings.port)}{settings.path_prefix}"
    file = os.environ.get("KAO_API_KEY_FILE")
    if settings.api_key is None:  # else no file is written
        file = str(settings.home / layout.API_KEY)
    place, key = file or "KAO_API_KEY", f"$(cat {shlex.quote(file)})" if file else "$KAO_API_KEY"
    header = f'-H "Authorization: Bearer {key}"'
    body = '\'{"preset":"modern-64","minutes":3}\''
    err.print(f"\n  Kao 顔  {url}/avatar?seed=42", style="bold")
    err.print(f"  API key in {place}; everything lives in {settings.home}\n")
    if not settings.can_train:
        err.print("  Training is not installed: pip install 'kao[worker]' adds it.\n")
    for line in (
        f'curl -s "{url}/avatar?seed=42" -o face.png',
        f"curl -X POST {url}/train {header} -H 'content-type: application/json' -d {body}",
        f"curl -s {url}/models",
    ):
        err.print(f"  $ {line}")
    err.print()
