"""`kao doctor`: check what this machine has and what it lacks."""

import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import typer
from rich.table import Column, Table
from rich.text import Text

from kao import embedded_valkey
from kao.console import out
from kao.errors import explain
from kao.models import open_registry
from models.errors import KaoError
from models.settings import Settings
from models.storage import atomic

LEAST_FREE = 2e9  # bytes


class Check(NamedTuple):
    """One line of the report."""

    name: str
    is_met: bool
    text: str


def doctor() -> None:
    """Check what this machine has and what it lacks."""
    settings = Settings()
    checks = [
        Check("Python", sys.version_info >= (3, 11), sys.version.split()[0]),
        *_check_torch(),
        Check("CPU cores", True, f"{os.cpu_count()}, {settings.parallel} to use (KAO_THREADS)"),
        _check_queue(settings),
        _check_disk(settings),
        *_check_bucket(settings),
        _check_model(),
    ]
    table = Table("", "", Column(overflow="fold"), box=None, show_header=False)
    for check in checks:
        verdict = Text("ok", style="green") if check.is_met else Text("missing", style="red")
        table.add_row(verdict, check.name, check.text)
    out.print(table)
    if not all(check.is_met for check in checks):
        raise typer.Exit(1)


def _check_torch() -> list[Check]:
    try:
        torch = version("torch")
    except PackageNotFoundError:
        text = (
            "not installed: this machine can serve, not train; `make install` in a clone, else "
            "pip install 'kao[worker]'"
        )
        return [Check("torch", False, text)]
    from worker.hardware import gpu_check

    return [Check("torch", True, torch), Check("GPU", *gpu_check.explain(gpu_check.probe()))]


def _check_queue(settings: Settings) -> Check:
    if settings.redis_url:
        return Check("Redis", _answers(settings), "as REDIS_URL says")
    binary = embedded_valkey.find_server()
    text = str(binary or "install valkey or redis, or set REDIS_URL")
    return Check("Valkey", binary is not None, text)


def _check_disk(settings: Settings) -> Check:
    atomic.private_folder(settings.home)
    free = shutil.disk_usage(settings.home).free
    return Check("disk", free > LEAST_FREE, f"{free / 1e9:.0f} GB free at {settings.home}")


def _check_bucket(settings: Settings) -> list[Check]:
    if settings.blobs.url is None:
        return []
    try:
        next(settings.blobs.list_blobs(), None)
    except KaoError as error:
        return [Check("bucket", False, str(error))]
    return [Check("bucket", True, settings.blobs.url)]


def _check_model() -> Check:
    try:
        model = open_registry().aliases().get("default")
    except Exception as error:  # as SQLAlchemy raises them
        if (text := explain(error)) is None:
            raise
        return Check("default model", False, text)
    return Check("default model", model is not None, model or "none yet: `kao train --promote`")


def _answers(settings: Settings) -> bool:
    import redis

    from models.queue import connect

    try:
        with connect(settings) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
