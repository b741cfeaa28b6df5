"""API keys: who may train, upload and promote. Only their SHA-256 is stored.

A key has 256 random bits, so that a plain hash keeps it; nobody can guess through a fast one.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import select

from models.database import keys, now
from models.settings import Settings

FILE = "api-key"
SHORTEST = 16


def ensure_first_key(engine: sa.Engine, settings: Settings) -> str | None:
    """The key that works from now on, where it is known; None when older keys are there alone.

    Order: the setting's, the file's (a lost database does not change it), a new one.
    """
    path = settings.home / FILE
    with engine.begin() as db:
        if settings.api_key is not None:
            _register(db, settings.api_key, "setting")
            return settings.api_key
        key = _read(path)
        if key is None:
            if db.execute(select(keys.c.hash).limit(1)).first() is not None:
                return None
            key = "kao_" + secrets.token_urlsafe(32)
            _write(path, key)
        _register(db, key, "first")
    return key


def is_key(engine: sa.Engine, presented: str) -> bool:
    """Whether this is a registered key; the time it takes tells nothing about any."""
    hashed = _hash(presented)
    with engine.begin() as db:
        stored = [row.hash for row in db.execute(select(keys.c.hash))]
    # A sum looks at every key, where any() would stop at the first that fits.
    return sum(hmac.compare_digest(hashed, known) for known in stored) > 0


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _register(db: sa.Connection, key: str, name: str) -> None:
    hashed = _hash(key)
    if db.execute(select(keys.c.hash).where(keys.c.hash == hashed)).first() is None:
        db.execute(keys.insert().values(hash=hashed, name=name, created=now()))


def _read(path: Path) -> str | None:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        key = path.read_text().strip()
        return key if len(key) >= SHORTEST else None
    return None


def _write(path: Path, key: str) -> None:
    """Readable by its owner only, from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
