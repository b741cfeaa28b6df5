"""What a host keeps of what it can get or make again: copies of the bucket's files, packed sets.

Together they may take KAO_LOCAL_BYTES; beyond, the least recently used go. Without a bucket only
packed sets are copies, and only they go. In use, and never among them: what an alias names, what a
waiting or running run needs, a packed set that some process has open, and whatever the bucket does
not have in the same size.
"""

import contextlib
import fcntl
import shutil
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
from models.settings import Settings
from models.storage import layout

log = structlog.get_logger()

INTERVAL = 600.0  # s between looks
FRESH = 3600.0  # s; what was used since may be in somebody's hands
MANIFEST = "manifest.json"  # of a packed set; open and locked (shared) while the set is in use
WAITING = ("queued", "running")


@dataclass(frozen=True)
class Copy:
    """A file, or a folder that goes as one. used: when it was last asked for."""

    path: Path
    bytes: int
    used: float


@contextlib.contextmanager
def pruning(settings: Settings, engine: sa.Engine) -> Iterator[None]:
    """Prune now and then, in a thread, as long as this lasts."""
    stopped = threading.Event()
    threading.Thread(
        target=_tend, args=(settings, engine, stopped), daemon=True, name="cache"
    ).start()
    try:
        yield
    finally:
        stopped.set()


def _tend(settings: Settings, engine: sa.Engine, stopped: threading.Event) -> None:
    while not stopped.wait(INTERVAL):
        try:
            prune(settings, engine)
        except (KaoError, OSError, sa.exc.SQLAlchemyError) as error:
            log.warning("cache.not_pruned", reason=type(error).__name__)


def prune(settings: Settings, engine: sa.Engine, fresh: float = FRESH) -> list[Copy]:
    """Remove copies until the rest fits KAO_LOCAL_BYTES, as far as that goes; what was removed."""
    copies = list(_copies(settings))
    excess = sum(copy.bytes for copy in copies) - settings.local_bytes
    if excess <= 0:
        return []
    needed = _needed(settings, engine)
    there = {blob.name: blob.bytes for blob in settings.blobs.list_blobs()}
    removed = []
    for copy in sorted(copies, key=lambda copy: copy.used):
        if excess <= 0 or time.time() - copy.used < fresh:
            break
        if needed.isdisjoint({copy.path, copy.path.parent}) and _remove(settings, copy, there):
            removed.append(copy)
            excess -= copy.bytes
    if removed:
        log.info("cache.pruned", copies=len(removed), bytes=sum(copy.bytes for copy in removed))
    return removed


def _copies(settings: Settings) -> Iterator[Copy]:
    # Packed sets, and what was measured of them.
    kinds = [(settings.cache, "*"), (settings.cache / layout.FEATURES, "*")]
    if settings.blobs.url is not None:
        store = settings.storage
        kinds += [(store / layout.BUNDLES, "*"), (store / layout.DATASETS, "*")]
        kinds += [(store / layout.SNAPSHOTS, f"*/*{layout.SNAPSHOT_SUFFIX}")]
    for folder, pattern in kinds:
        for path in folder.glob(pattern):
            if not layout.is_temporary(path.name) and path != settings.cache / layout.FEATURES:
                with contextlib.suppress(FileNotFoundError):
                    files = [path] if path.is_file() else [path, *path.rglob("*")]
                    size = sum(file.stat().st_size for file in files)
                    yield Copy(path, size, path.stat().st_mtime)


def _needed(settings: Settings, engine: sa.Engine) -> set[Path]:
    """What must stay, as paths of copies or of the folder that they are in."""
    store = settings.storage
    with reading(engine).begin() as db:
        needed = {
            store / layout.bundle(version) for version in db.scalars(select(aliases.c.version))
        }
        digests = {row.name: row.digest for row in db.execute(select(datasets))}
        waiting = select(runs.c.id, runs.c.recipe).where(runs.c.state.in_(WAITING))
        for row in db.execute(waiting):
            needed.add(store / layout.snapshots(row.id))
            if digest := digests.get(row.recipe.get("dataset")):
                needed.add(store / layout.dataset(digest))
    return needed


def _remove(settings: Settings, copy: Copy, there: dict[str, int]) -> bool:
    """Whether it could go."""
    if copy.path.is_relative_to(settings.cache):
        return _remove_unless_locked(copy.path)
    files = [copy.path] if copy.path.is_file() else sorted(copy.path.iterdir())
    for file in files:
        # Somebody may have moved from a folder to a bucket and left this behind.
        if there.get(file.relative_to(settings.storage).as_posix()) != file.stat().st_size:
            return False
    _take_away(copy.path)
    return True


def _remove_unless_locked(folder: Path) -> bool:
    try:
        with (folder / MANIFEST).open() as manifest:
            fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _take_away(folder)
    except BlockingIOError:
        return False
    except (FileNotFoundError, NotADirectoryError):  # what was measured of a set has no lock
        _take_away(folder)
    return True


def _take_away(path: Path) -> None:
    """Out of sight at once, so that nobody meets half of it."""
    aside = path.with_name(f".{path.name}.pruned")
    path.rename(aside)
    if aside.is_dir():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink()
