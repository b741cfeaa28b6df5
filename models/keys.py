"""API keys: who may do what. Only their SHA-256 is stored.

A key has 256 random bits, so that a plain hash keeps it: nobody can try enough of them, and a slow
hash, which protects short passwords, would only make every request slow.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import select

from models.database.engine import now, reading
from models.database.tables import keys
from models.errors import InvalidKey, KaoError, UnknownKey
from models.settings import Settings
from models.storage import atomic, layout

FILE = layout.API_KEY
SHORTEST = 16
LONGEST_NAME = 64  # characters, as the column has
Scope = Literal["avatars", "read", "train", "datasets", "models", "keys"]
SCOPES: dict[Scope, str] = {
    "avatars": "pictures and the list of models, where they are not open to all",
    "read": "look at runs, their events and sheets, and at datasets",
    "train": "start, cancel and resume runs",
    "datasets": "upload and delete datasets",
    "models": "promote models and roll back",
    "keys": "make, list and revoke keys",
}


@dataclass(frozen=True)
class Key:
    """A registered key, as far as it may be told; `hash` signs addresses."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created: str
    revoked: str | None
    hash: str = field(repr=False)


def ensure_first_key(engine: sa.Engine, settings: Settings) -> str | None:
    """The key that works from now on, where it is known; None when others are there alone.

    Order: the setting's, the file's (a lost database does not change it), a new one. One that was
    revoked stays so.
    """
    with engine.begin() as db:
        if settings.api_key is not None:
            return _registered(db, settings.api_key, "setting")
        written = _read(settings.home / FILE)
        if written is not None:
            return _registered(db, written, "first")
        if db.execute(select(keys.c.hash).limit(1)).first() is not None:
            return None
        key = _new()
        _write(settings.home / FILE, key)
        return _registered(db, key, "first")


def refuse_without_key(engine: sa.Engine, settings: Settings) -> None:
    """Raises KaoError where others could reach a server that nobody has a key to."""
    if settings.loopback or any(key.revoked is None for key in listed(engine)):
        return
    raise KaoError(
        f"Every API key is revoked, and {settings.host} can be reached from elsewhere. Make one "
        "with `kao keys create NAME`, or listen on this machine alone: KAO_HOST=127.0.0.1."
    )


def create(engine: sa.Engine, name: str, scopes: Collection[str]) -> tuple[str, Key]:
    """A new key, which nobody can read again, and its row. Raises InvalidKey."""
    if not (1 <= len(name) <= LONGEST_NAME and name.isprintable()):
        raise InvalidKey(f"A key's name has 1 to {LONGEST_NAME} printable characters.")
    if not scopes or not set(scopes) <= SCOPES.keys():
        raise InvalidKey(f"A key's scopes are one or more of: {', '.join(SCOPES)}.")
    key = _new()
    with engine.begin() as db:
        _insert(db, key, name, scopes)
        return key, _told(_by_hash(db, hash_of(key)))


def find(engine: sa.Engine, presented: str) -> Key | None:
    """The active key that this text is. Asked of the database each time, so a revoked one fails.

    The search may take longer for one hash than for another, but nobody can choose a text for
    the beginning of its hash; the hashes themselves are compared in constant time.
    """
    hashed = hash_of(presented)
    with reading(engine).begin() as db:
        row = _by_hash(db, hashed)
    active = row is not None and row.revoked is None and hmac.compare_digest(hashed, row.hash)
    return _told(row) if active else None


def get(engine: sa.Engine, id: str) -> Key:
    """An active key by its public name. Raises UnknownKey, for a revoked one too."""
    with reading(engine).begin() as db:
        row = db.execute(select(keys).where(keys.c.id == id, keys.c.revoked.is_(None))).first()
    if row is None:
        raise UnknownKey(id)
    return _told(row)


def listed(engine: sa.Engine) -> list[Key]:
    """All of them, the newest first, the revoked ones too."""
    with reading(engine).begin() as db:
        return [_told(row) for row in db.execute(select(keys).order_by(keys.c.created.desc()))]


def revoke(engine: sa.Engine, id: str) -> None:
    """From now on it opens nothing, at any server. Raises UnknownKey; again is fine."""
    with engine.begin() as db:
        if db.execute(select(keys.c.id).where(keys.c.id == id)).first() is None:
            raise UnknownKey(id)
        active = sa.update(keys).where(keys.c.id == id, keys.c.revoked.is_(None))
        db.execute(active.values(revoked=now()))


def hash_of(key: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _new() -> str:
    return "kao_" + secrets.token_urlsafe(32)


def _by_hash(db: sa.Connection, hashed: str) -> Any:
    return db.execute(select(keys).where(keys.c.hash == hashed)).first()


def _registered(db: sa.Connection, key: str, name: str) -> str | None:
    if _by_hash(db, hash_of(key)) is None:
        # Another server that starts at this moment may be first.
        with contextlib.suppress(sa.exc.IntegrityError), db.begin_nested():
            _insert(db, key, name, SCOPES)
    return key if _by_hash(db, hash_of(key)).revoked is None else None


def _insert(db: sa.Connection, key: str, name: str, scopes: Collection[str]) -> None:
    fields = {"id": secrets.token_hex(6), "hash": hash_of(key), "name": name, "created": now()}
    chosen = [scope for scope in SCOPES if scope in scopes]
    db.execute(keys.insert().values(**fields, scopes=chosen))


def _told(row: Any) -> Key:
    return Key(row.id, row.name, tuple(row.scopes), row.created, row.revoked, row.hash)


def _read(path: Path) -> str | None:
    try:
        key = path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return key if len(key) >= SHORTEST else None


def _write(path: Path, key: str) -> None:
    """Readable by its owner only, from its first byte on."""

    def private(name: str, flags: int) -> int:
        return os.open(name, flags, 0o600)

    with atomic.whole_file(path) as temporary, open(temporary, "x", opener=private) as file:
        file.write(key + "\n")
