"""`kao doctor`: check what this machine has and what it lacks."""

import contextlib
import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version

import typer
from rich.console import Console
from rich.table import Table

from kao import embedded_valkey
from kao.models import open_registry
from models.errors import KaoError
from models.settings import Settings

out = Console()


def doctor() -> None:
    """Say what is there and what is missing."""
    settings = Settings()
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
        from worker import gpu_check

        tell("GPU", *gpu_check.told(gpu_check.look()))
    tell("CPU cores", True, f"{os.cpu_count()}, {settings.parallel} to use (KAO_THREADS)")
    binary = embedded_valkey.server()
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
        registry = open_registry()
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
