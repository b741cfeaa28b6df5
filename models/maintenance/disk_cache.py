"""Disk cache: evicts local copies that can be downloaded or rebuilt.

Copies of the bucket's files and packed datasets may take KAO_LOCAL_BYTES together; beyond that the
least recently used are removed. Without a bucket, only packed datasets are copies. Never removed
are: what an alias names, what a queued or running run needs, a packed dataset that a process has
open, and files that the bucket does not have in the same size.
"""

import contextlib
import fcntl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
import structlog
from sqlalchemy import select

from models.database.engine import reading
from models.database.tables import aliases, datasets, runs
from models.errors import KaoError
from models.runs import ACTIVE
from models.settings import Settings
from models.storage import atomic, layout

log = structlog.get_logger()

INTERVAL = 600.0  # s between two evictions
MINIMUM_AGE = 3600.0  # s since the last use; a process may still be using younger copies


@dataclass(frozen=True)
class Copy:
    """A file or folder that is removed as a whole. last_use: seconds since the epoch."""

    path: Path
    bytes: int
    last_use: float


@contextlib.contextmanager
def pruning(settings: Settings, engine: sa.Engine) -> Iterator[None]:
    """Prune every INTERVAL in a thread, until the context ends."""
    stop = threading.Event()
    threading.Thread(
        target=_prune_until, args=(settings, engine, stop), daemon=True, name="cache"
    ).start()
    try:
        yield
    finally:
        stop.set()


def _prune_until(settings: Settings, engine: sa.Engine, stop: threading.Event) -> None:
    while not stop.wait(INTERVAL):
        try:
            prune(settings, engine)
        except (KaoError, OSError, sa.exc.SQLAlchemyError) as error:
            log.warning("cache.not_pruned", reason=type(error).__name__)


def prune(settings: Settings, engine: sa.Engine, minimum_age: float = MINIMUM_AGE) -> list[Copy]:
    """Remove unused copies until the others fit KAO_LOCAL_BYTES; what was removed."""
    copies = list(_copies(settings))
    excess = sum(copy.bytes for copy in copies) - settings.local_bytes
    if excess <= 0:
        return []
    paths_in_use = _paths_in_use(settings, engine)
    bucket_sizes = {blob.name: blob.bytes for blob in settings.blobs.list_blobs()}
    removals = []
    for copy in sorted(copies, key=lambda copy: copy.last_use):
        if excess <= 0 or time.time() - copy.last_use < minimum_age:
            break
        is_unused = paths_in_use.isdisjoint({copy.path, copy.path.parent})
        is_unused = is_unused and not _was_used_since(copy)
        if is_unused and _remove(settings, copy, bucket_sizes):
            removals.append(copy)
            excess -= copy.bytes
    if removals:
        log.info("cache.pruned", copies=len(removals), bytes=sum(copy.bytes for copy in removals))
    return removals


def _was_used_since(copy: Copy) -> bool:
    """Whether a copy was used, or removed, since it was listed; a bucket's list takes a while."""
    try:
        return copy.path.stat().st_mtime > copy.last_use
    except FileNotFoundError:
        return True


def _copies(settings: Settings) -> Iterator[Copy]:
    # Packed datasets, and their measured features.
    patterns = [(settings.cache, "*"), (settings.cache / layout.FEATURES, "*")]
    if settings.blobs.url is not None:
        store = settings.storage
        patterns += [(store / layout.BUNDLES, "*"), (store / layout.DATASETS, "*")]
        patterns += [(store / layout.SNAPSHOTS, f"*/*{layout.SNAPSHOT_SUFFIX}")]
    for folder, pattern in patterns:
        for path in folder.glob(pattern):
            if not layout.is_temporary(path.name) and path != settings.cache / layout.FEATURES:
                with contextlib.suppress(FileNotFoundError):
                    files = [path] if path.is_file() else [path, *path.rglob("*")]
                    size = sum(file.stat().st_size for file in files)
                    yield Copy(path, size, path.stat().st_mtime)


def _paths_in_use(settings: Settings, engine: sa.Engine) -> set[Path]:
    """Return what must stay, as paths of copies or of the folder that they are in."""
    store = settings.storage
    with reading(engine).begin() as db:
        paths = {
            store / layout.bundle(version) for version in db.scalars(select(aliases.c.version))
        }
        digests = {row.name: row.digest for row in db.execute(select(datasets))}
        active = select(runs.c.id, runs.c.recipe).where(runs.c.state.in_(ACTIVE))
        for row in db.execute(active):
            paths.add(store / layout.snapshots(row.id))
            if digest := digests.get(row.recipe.get("dataset")):
                paths.add(store / layout.dataset(digest))
    return paths


def _remove(settings: Settings, copy: Copy, bucket_sizes: dict[str, int]) -> bool:
    """Remove a copy unless it is locked or the bucket lacks it; whether it was removed."""
    if copy.path.is_relative_to(settings.cache):
        return _remove_unless_locked(copy.path)
    files = [copy.path] if copy.path.is_file() else sorted(copy.path.iterdir())
    for file in files:
        # A home that once had no bucket may have files that were never uploaded.
        if bucket_sizes.get(file.relative_to(settings.storage).as_posix()) != file.stat().st_size:
            return False
    return atomic.remove(atomic.hide(copy.path))


def _remove_unless_locked(folder: Path) -> bool:
    try:
        with (folder / layout.MANIFEST).open() as manifest:
            fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return atomic.remove(atomic.hide(folder))
    except BlockingIOError:
        return False
    except (FileNotFoundError, NotADirectoryError):  # measured features have no lock
        return atomic.remove(atomic.hide(folder))
