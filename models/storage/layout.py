"""The layout of the store, the cache and the home: every path below them is spelled here.

Functions give names relative to the store, with slashes. The same name is a path below the
store's folder and an object's name below the bucket's prefix. A name that starts with a dot is
temporary: it belongs to a process that is still writing, or that died.
"""

from typing import NamedTuple

# Below the store.
BUNDLES, DATASETS, SNAPSHOTS, UPLOADS = "bundles", "datasets", "snapshots", "uploads"
# Below the home. In the bucket, the sheets of runs lie below RUNS as well.
RUNS, STORE, CACHE, ENLARGING = "runs", "store", "cache", "enlarging"
DATABASE, API_KEY, QUEUE_SOCKET = "kao.db", "api-key", "run/valkey.sock"
# Below the cache: measured features of packed sets. Everything else there is a packed set.
FEATURES = "features"
MANIFEST = "manifest.json"  # of a packed set; open and locked (shared) while it is in use
SNAPSHOT_SUFFIX, DATASET_SUFFIX = ".pt", ".zip"
SNAPSHOTS_KEPT = 2  # of a run: the one that it resumes from, and the one before it


class Unit(NamedTuple):
    """What a stored file belongs to.

    kind: BUNDLES, DATASETS, SNAPSHOTS or RUNS. owner: a version, a dataset's digest, a run's id.
    """

    kind: str
    owner: str


def bundle(version: str) -> str:
    """The folder of a bundle's files."""
    return f"{BUNDLES}/{version}"


def dataset(digest: str) -> str:
    """The zip of an uploaded dataset."""
    return f"{DATASETS}/{digest}{DATASET_SUFFIX}"


def snapshots(run: str) -> str:
    """The folder of a run's snapshots."""
    return f"{SNAPSHOTS}/{run}"


def snapshot(run: str, file: str) -> str:
    """One snapshot."""
    return f"{snapshots(run)}/{file}"


def snapshot_file(step: int) -> str:
    """A snapshot's file name; names sort as the steps do."""
    return f"{step:012d}{SNAPSHOT_SUFFIX}"


def run(run: str) -> str:
    """The folder of a run's log, metrics and sheets, below the home."""
    return f"{RUNS}/{run}"


def sheets(run: str) -> str:
    """The folder of a run's sample sheets, below the home and in the bucket."""
    return f"{RUNS}/{run}/sheets"


def enlarging(key: str) -> str:
    """The state of a training of a published model's enlarger, below the home."""
    return f"{ENLARGING}/{key}{SNAPSHOT_SUFFIX}"


def unit(name: str) -> Unit | None:
    """What a file or folder of the store belongs to; None for names that Kao never writes."""
    kind, _, path = name.partition("/")
    owner = path.partition("/")[0]
    if kind not in {BUNDLES, DATASETS, SNAPSHOTS, RUNS} or not owner:
        return None
    return Unit(kind, owner.removesuffix(DATASET_SUFFIX))


def is_temporary(name: str) -> bool:
    """Whether the last part of a name marks unfinished work."""
    return name.rpartition("/")[2].startswith(".")
