"""A packed dataset: pictures decoded once into a folder that training maps into memory.

`images.npy` (uint8, (N, S, S, 3)), `names.json`, `manifest.json` and, where the truth is known,
`labels.json`. The folder is written under another name and renamed, so it is whole or not there.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from models.datasets import near_duplicates
from models.datasets.archive import FEWEST
from models.datasets.exclusions import Exclusion, Reason, summarise
from models.datasets.images import MIN_SIDE, BrokenImage
from models.datasets.near_duplicates import NearDuplicates
from models.errors import DatasetError
from models.storage import atomic
from models.storage.layout import MANIFEST
from worker.datasets import starter_attributes
from worker.datasets.source import Contents, DatasetSource, Decoding, Images, Part
from worker.datasets.sources import open_source

FORMAT = 1
SIZES = range(8, 1025)
TEMPORARY = ".packing-"
STALE = 24 * 3600  # s; no packing lasts a day, so an older temporary folder lost its process

Progress = Callable[[int, int], None]


class CacheLock:
    """A shared lock on a packed set, so that the disk cache does not evict it."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / MANIFEST, os.O_RDONLY)
        fcntl.flock(self._file, fcntl.LOCK_SH)
        with contextlib.suppress(PermissionError):
            os.utime(folder)  # used now; raises FileNotFoundError where it has just been pruned

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)


@dataclass(frozen=True)
class PackedDataset:
    """A packed dataset on disk.

    fingerprint: SHA-256 hex of its pixels. skipped: pictures that could not be read. left_out:
    files that are no pictures, by reason. duplicates: pictures with the pixels of an earlier one.
    """

    folder: Path
    name: str
    fingerprint: str
    licence: str
    credit: str
    count: int
    size: int
    skipped: list[Exclusion] = field(default_factory=list)
    left_out: list[Reason] = field(default_factory=list)
    duplicates: int = 0
    near_duplicates: NearDuplicates = field(default_factory=NearDuplicates)
    lock: CacheLock | None = field(default=None, compare=False, repr=False)

    def images(self) -> Images:
        """Map the pictures into memory, read-only: (count, size, size, 3) uint8."""
        images: Images = np.load(self.folder / "images.npy", mmap_mode="r", allow_pickle=False)
        return images

    def names(self) -> list[str]:
        """Read the pictures' names in the source, in the order of `images`."""
        path = self.folder / "names.json"
        if not path.exists():  # the starter's, as packed before names were kept
            return [f"{index:06}" for index in range(self.count)]
        names: list[str] = json.loads(path.read_bytes())
        return names

    def labels(self) -> dict[str, dict[str, list[Any]]]:
        """Read attribute -> {"values": [...], "codes": [one a picture]}; empty when unlabelled."""
        attributes: dict[str, dict[str, list[Any]]] = self._label_file().get("attributes", {})
        return attributes

    def numbers(self) -> dict[str, list[float | None]]:
        """Read numeric label -> a number for each picture, None where it has none."""
        numbers: dict[str, list[float | None]] = self._label_file().get("numbers", {})
        return numbers

    def _label_file(self) -> dict[str, Any]:
        path = self.folder / "labels.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}


def pack(
    source: str | Path,
    size: int,
    cache: Path,
    *,
    limit: int | None = None,
    sample: int | None = None,
    name: str | None = None,
    licence: str = "unknown",
    progress: Progress | None = None,
    workers: int | None = None,
    least: int = MIN_SIDE,
) -> PackedDataset:
    """Pack `source` at `size` (8..1024), or find it in `cache`.

    source: 'starter', an older edition ('starter-1'), a folder or a .zip. limit: the first so many
    pictures in order of their names (starter: how many, default the edition's). sample: of those
    at most so many, a fair choice by their names' digests with the held-out pictures first
    (starter: its first, which are as fair). least: leave out pictures whose shorter side has fewer
    pixels.
    progress(count, total) is called in this thread. workers: default every core.
    Raises DatasetError, with what to do, for a source without two usable pictures, and for a disk
    without room for them.
    """
    if size not in SIZES:
        raise DatasetError(f"Pictures are packed at 8 to 1024 pixels, not {size}.")
    if limit is not None and limit < FEWEST:
        raise DatasetError(f"A dataset needs at least {FEWEST} pictures, so limit={limit} is low.")
    dataset_source = open_source(source, name, licence)
    contents = dataset_source.contents(Part(limit, sample, least), size)
    if len(contents.names) < FEWEST:
        raise DatasetError(_unusable(dataset_source, contents, len(contents.names), []))
    key = _digest(FORMAT, size, contents.key, dataset_source.name, dataset_source.licence)
    folder = cache / key[:32]
    dataset = _open(folder)
    if dataset:
        if progress:
            progress(len(contents.names), len(contents.names))
        return dataset
    cache.mkdir(parents=True, exist_ok=True)
    _sweep(cache)
    _check_disk(cache, len(contents.names), size)
    temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=cache))
    try:
        _write(temporary, dataset_source, contents, Decoding(size, least, workers), progress)
        return _move_into_cache(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_disk(cache: Path, count: int, size: int) -> None:
    """Raises DatasetError where the packed pictures do not fit on the disk of `cache`."""
    need, free = count * size * size * 3, shutil.disk_usage(cache).free
    if need > free:
        raise DatasetError(
            f"{count:,} pictures of {size} pixels need {need / 1e6:,.0f} MB, and the disk of "
            f"{cache} has {free / 1e6:,.0f} MB; make room, or use fewer or smaller pictures."
        )


@dataclass
class _Pictures:
    """The pictures that were written so far, and those that cannot be read."""

    names: list[str] = field(default_factory=list)
    unreadable: list[Exclusion] = field(default_factory=list)
    thumbnails: list[Images] = field(default_factory=list)
    content: Any = field(default_factory=hashlib.sha256)
    distinct: set[tuple[bytes, int]] = field(default_factory=set)

    def write(self, name: str, image: Images, file: BinaryIO) -> None:
        """Append a picture's pixels to `file`."""
        pixels = np.ascontiguousarray(image).data
        file.write(pixels)
        self.content.update(pixels)
        self.names.append(name)
        self.thumbnails.append(near_duplicates.thumbnail(image))
        # In a set of 100,000 about one pair would have equal checksums by chance.
        self.distinct.add((self.thumbnails[-1].tobytes(), zlib.crc32(pixels)))


def _write(
    folder: Path,
    source: DatasetSource,
    contents: Contents,
    decoding: Decoding,
    progress: Progress | None,
) -> None:
    """Write the whole dataset into `folder` and flush it to the disk."""
    with (folder / "images.npy").open("wb") as file:
        pictures = _write_images(file, source, contents, decoding, progress)
    names = pictures.names
    if len(names) < FEWEST:
        raise DatasetError(_unusable(source, contents, len(names), pictures.unreadable))
    _write_json(folder / "names.json", names)
    if labels := source.labels(contents, names):
        _write_json(folder / "labels.json", labels)
    _write_json(folder / MANIFEST, _manifest(source, contents, decoding.size, pictures))
    atomic.sync(folder)


def _write_images(
    file: BinaryIO,
    source: DatasetSource,
    contents: Contents,
    decoding: Decoding,
    progress: Progress | None,
) -> _Pictures:
    """Write `images.npy`: the pictures that can be read, in order."""
    pictures, total = _Pictures(), len(contents.names)
    _header(file, total, decoding.size)
    for count, (name, image) in enumerate(source.pictures(contents, decoding), start=1):
        if isinstance(image, BrokenImage):
            pictures.unreadable.append(Exclusion(name, image.reason))
        else:
            pictures.write(name, image, file)
        if progress:
            progress(count, total)
    file.seek(0)
    _header(file, len(pictures.names), decoding.size)
    _flush(file)
    return pictures


def _manifest(
    source: DatasetSource, contents: Contents, size: int, pictures: _Pictures
) -> dict[str, Any]:
    names = pictures.names
    return {
        "format": FORMAT,
        "name": source.name,
        "licence": source.licence,
        "credit": source.credit,
        "count": len(names),
        "size": size,
        "fingerprint": pictures.content.hexdigest(),
        "skipped": [one._asdict() for one in pictures.unreadable],
        "left_out": [asdict(one) for one in _summary(source, contents)],
        "duplicates": len(names) - len(pictures.distinct),
        "near_duplicates": asdict(_alike(source, names, pictures.thumbnails)),
    }


def _alike(
    source: DatasetSource, names: Sequence[str], thumbnails: Sequence[Images]
) -> NearDuplicates:
    """Pictures that look alike; what Kao draws itself differs in parts that a thumbnail loses."""
    if source.name in starter_attributes.EDITIONS:
        return NearDuplicates()
    return near_duplicates.find(names, thumbnails)


def _summary(source: DatasetSource, contents: Contents) -> list[Reason]:
    return summarise([*contents.left_out, *source.label_table().unreadable_files])


def _unusable(
    source: DatasetSource, contents: Contents, count: int, unreadable: Sequence[Exclusion]
) -> str:
    why = f"; {unreadable[0].name}: {unreadable[0].reason}" if unreadable else ""
    return (
        f"{source.name!r} has {count} readable of {len(contents.names)} "
        f"pictures and training needs at least {FEWEST}{why}. Bring whole pictures, best some "
        "thousands."
    )


def _header(file: BinaryIO, count: int, size: int) -> None:
    """Write the .npy header; NumPy pads it, so that another count leaves its length alone."""
    shape = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, 3)}
    npy.write_array_header_1_0(file, shape)


def _write_json(path: Path, value: Any) -> None:
    with path.open("wb") as file:
        # Escaped: a file's name that is not UTF-8 has surrogates, which cannot be encoded.
        file.write(json.dumps(value).encode())
        _flush(file)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _move_into_cache(temporary: Path, folder: Path) -> PackedDataset:
    """Give the written folder its final name, unless another process wrote an equal one first."""
    temporary.chmod(0o755)  # mkdtemp's 0700 would hide it from an app under another user
    with contextlib.suppress(OSError):
        temporary.rename(folder)
    atomic.sync(folder.parent)
    dataset = _open(folder)
    if dataset is None:
        raise OSError(f"the packed dataset could not be moved to {folder}")
    return dataset


def _open(folder: Path) -> PackedDataset | None:
    """Open a packed dataset; None where there is none, and a damaged one is cleared away."""
    try:
        lock = CacheLock(folder)
        manifest = json.loads((folder / MANIFEST).read_bytes())
        dataset = PackedDataset(
            folder=folder,
            lock=lock,
            skipped=[Exclusion(**one) for one in manifest["skipped"]],
            left_out=[Reason(**one) for one in manifest.get("left_out", [])],
            near_duplicates=NearDuplicates(**manifest.get("near_duplicates", {})),
            **{
                key: manifest[key]
                for key in (
                    "name", "fingerprint", "licence", "credit", "count", "size", "duplicates"
                )
            },
        )  # fmt: skip
        if dataset.images().shape == (dataset.count, dataset.size, dataset.size, 3):
            return dataset
    except FileNotFoundError:
        if not folder.exists():
            return None
    except (ValueError, KeyError, TypeError, EOFError):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    return None


def _sweep(cache: Path) -> None:
    """Remove incomplete folders of processes that were killed."""
    for folder in cache.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > STALE:
                shutil.rmtree(folder, ignore_errors=True)


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
