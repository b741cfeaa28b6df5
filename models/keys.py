"""API keys and their scopes.

The database has a key's SHA-256, to look it up, and two public keys, to verify what it signed
(`models/key_signatures.py`); none of them authenticates. A plain hash suffices: a key has 256
random bits, too many to try, and a slow hash would only make every request slow.
"""

import contextlib
import hashlib
import os
import secrets
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
import structlog
from sqlalchemy import select

from models.database.engine import failing_if_locked, lock, now, reading
from models.database.tables import keys
from models.errors import InvalidKey, KaoError, LastKey, UnknownKey
from models.key_signatures import Purpose, public_key
from models.row_limits import check_count
from models.settings import Settings
from models.storage import atomic, layout

log = structlog.get_logger()

FILE = layout.API_KEY
PLACEHOLDER = "CHANGE-ME"  # how keys in deploy/ begin
MIN_LENGTH = 16
MAX_NAME = 64  # characters, as the column has
MOST_KEYS = 1000  # active ones; each has rate limits and a quota of its own
TOO_MANY = "A server has at most {most} active keys; revoke one first."
Scope = Literal["avatars", "read", "train", "datasets", "models", "keys"]
Scopes = Collection[Scope] | Collection[str]
SCOPES: dict[Scope, str] = {
    "avatars": "pictures and the list of models, where they are not public",
    "read": "read runs, their events and sheets, and datasets; download models",
    "train": "start, cancel and resume runs",
    "datasets": "upload and delete datasets",
    "models": "upload and promote models, and roll back",
    "keys": "make, list and revoke keys",
}


@dataclass(frozen=True)
class Key:
    """A registered key without its secret. Public keys are hex, and None before its first use."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created: str
    revoked: str | None
    session_key: str | None = None
    address_key: str | None = None

    def public_key(self, purpose: Purpose) -> str | None:
        """The public key of a purpose."""
        return self.session_key if purpose == "session" else self.address_key


def ensure_first_key(engine: sa.Engine, settings: Settings) -> str | None:
    """Register the first key and return it; None where it is revoked or only others exist.

    It is the setting's, else the file's (also after the database was lost), else a new one.
    Raises KaoError for the placeholder of an example, and for a file whose key is too short.
    """
    with engine.begin() as db:
        if settings.api_key is not None:
            _refuse_placeholder(settings.api_key)
            return _register(db, settings.api_key, "setting")
        file_key = _read(settings.home / FILE)
        if file_key is not None:
            return _register(db, file_key, "first")
        if db.execute(select(keys.c.hash).limit(1)).first() is not None:
            return None
        key = _generate()
        _write(settings.home / FILE, key)
        log.info("key.file_written", file=str(settings.home / FILE))
        return _register(db, key, "first")


def _refuse_placeholder(key: str) -> None:
    if key.upper().startswith(PLACEHOLDER):
        raise KaoError(
            "KAO_API_KEY still has the placeholder of an example, which everybody knows. Set a "
            "random one: python -c 'import secrets; print(secrets.token_urlsafe(32))'."
        )


def warn_without_key(engine: sa.Engine) -> None:
    """Log where no active key manages keys: faces are served, and nothing can be changed."""
    if not any(key.revoked is None and "keys" in key.scopes for key in list_keys(engine)):
        log.warning("keys.none_active", remedy="kao keys create NAME")


def create(engine: sa.Engine, name: str, scopes: Collection[str]) -> tuple[str, Key]:
    """A new key, which cannot be read again, and its row. Raises InvalidKey, LimitReached."""
    # Not `isprintable`, which knows no space but U+0020 and no joiner, as in names of many scripts.
    if not 1 <= len(name) <= MAX_NAME or any(map(_is_control, name)) or not name.strip():
        raise InvalidKey(f"A key's name has 1 to {MAX_NAME} characters, no control characters.")
    if not scopes or not set(scopes) <= SCOPES.keys():
        raise InvalidKey(f"A key's scopes are one or more of: {', '.join(SCOPES)}.")
    key = _generate()
    with engine.begin() as db:
        lock(db, "keys.create")
        check_count(db, select(keys.c.id).where(keys.c.revoked.is_(None)), MOST_KEYS, TOO_MANY)
        _insert(db, key, name, scopes)
        return key, _key(_by_hash(db, hash_of(key)))


def _is_control(character: str) -> bool:
    """Whether it is a control character, a line separator, or half of a character."""
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def find(engine: sa.Engine, key: str) -> Key | None:
    """The active row of a key. Reads the database each time, so a revoked key fails at once.

    The time of the lookup may depend on the hash, which a client cannot choose.
    """
    with reading(engine).begin() as db:
        row = _by_hash(db, hash_of(key))
    if row is None or row.revoked is not None:
        return None
    if row.session_key is None or row.address_key is None:
        # A key from before these columns; a locked database must not make this request wait.
        is_busy = contextlib.suppress(sa.exc.OperationalError, sa.exc.TimeoutError)
        with is_busy, failing_if_locked(engine).begin() as db:
            _store_public_keys(db, key)
            row = _by_hash(db, hash_of(key))
    return _key(row)


def get(engine: sa.Engine, id: str) -> Key:
    """An active key by its id. Raises UnknownKey, for a revoked one too."""
    key = lookup(engine, id)
    if key.revoked is not None:
        raise UnknownKey(id)
    return key


def lookup(engine: sa.Engine, id: str) -> Key:
    """A key by its id, active or revoked. Raises UnknownKey."""
    with reading(engine).begin() as db:
        row = db.execute(select(keys).where(keys.c.id == id)).first()
    if row is None:
        raise UnknownKey(id)
    return _key(row)


def list_keys(engine: sa.Engine) -> list[Key]:
    """All keys, newest first, the revoked ones too."""
    with reading(engine).begin() as db:
        return [_key(row) for row in db.execute(select(keys).order_by(keys.c.created.desc()))]


def revoke(engine: sa.Engine, id: str) -> None:
    """End a key at every server; repeating it is harmless.

    Raises UnknownKey, and LastKey for the only active key with the scope `keys`: without one,
    keys can be made on the server's own terminal alone.
    """
    with engine.begin() as db:
        lock(db, "keys.revoke")
        active = [_key(row) for row in db.execute(select(keys).where(keys.c.revoked.is_(None)))]
        target = next((key for key in active if key.id == id), None)
        if target is None:
            if db.execute(select(keys.c.id).where(keys.c.id == id)).first() is None:
                raise UnknownKey(id)
            return
        if "keys" in target.scopes and sum("keys" in key.scopes for key in active) == 1:
            raise LastKey(target.name)
        db.execute(sa.update(keys).where(keys.c.id == id).values(revoked=now()))


def hash_of(key: str) -> str:
    """The SHA-256 of a key, by which the database finds it."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _generate() -> str:
    return "kao_" + secrets.token_urlsafe(32)


def _by_hash(db: sa.Connection, digest: str) -> Any:
    return db.execute(select(keys).where(keys.c.hash == digest)).first()


def _register(db: sa.Connection, key: str, name: str) -> str | None:
    row = _by_hash(db, hash_of(key))
    if row is None:
        # Another server that starts now may insert it first.
        with contextlib.suppress(sa.exc.IntegrityError), db.begin_nested():
            _insert(db, key, name, SCOPES)
    elif row.session_key is None or row.address_key is None:
        _store_public_keys(db, key)
    return key if _by_hash(db, hash_of(key)).revoked is None else None


def _insert(db: sa.Connection, key: str, name: str, scopes: Collection[str]) -> None:
    fields = {"id": secrets.token_hex(6), "hash": hash_of(key), "name": name, "created": now()}
    scope_list = [scope for scope in SCOPES if scope in scopes]
    db.execute(keys.insert().values(**fields, scopes=scope_list))
    _store_public_keys(db, key)


def _store_public_keys(db: sa.Connection, key: str) -> None:
    values = {
        keys.c.session_key: public_key(key, "session"),
        keys.c.address_key: public_key(key, "address"),
    }
    db.execute(sa.update(keys).where(keys.c.hash == hash_of(key)).values(values))


def _key(row: Any) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        scopes=tuple(row.scopes),
        created=row.created,
        revoked=row.revoked,
        session_key=row.session_key,
        address_key=row.address_key,
    )


def _read(path: Path) -> str | None:
    """The key of the file; None where it is missing, empty or another user's."""
    try:
        key = path.read_text(errors="replace").strip()
    except OSError:
        return None
    if 0 < len(key) < MIN_LENGTH:
        raise KaoError(
            f"The key in {path} is shorter than {MIN_LENGTH} characters. Write a longer one there, "
            "or remove the file."
        )
    return key or None


def _write(path: Path, key: str) -> None:
    """Write the file so that only its owner can ever read it."""

    def open_private(name: str, flags: int) -> int:
        return os.open(name, flags, 0o600)

    with atomic.whole_file(path) as temporary, open(temporary, "x", opener=open_private) as file:
        file.write(key + "\n")
