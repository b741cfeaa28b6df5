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
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from models import cores
from models.datasets import archive
from models.datasets.images import MIN_SIDE, BrokenImage, is_image_name, read_square, size_of
from models.errors import DatasetError
from models.storage.disk_cache import MANIFEST
from worker.datasets import held_out, starter

FORMAT = 1
SIZES = range(8, 1025)
FEWEST = 2  # pictures; a discriminator has nothing to compare below
PROBED = 50  # pictures whose size is read to know the set's
BATCH = 64  # pictures decoded ahead of the writer: bounds the memory, feeds every core
TEMPORARY = ".packing-"
STALE = 24 * 3600  # s; no packing lasts a day, so an older temporary folder lost its process

Progress = Callable[[int, int], None]
Images = NDArray[np.uint8]
Named = tuple[str, bytes | Path]


@dataclass(frozen=True)
class Skipped:
    """A picture that was left out, and why."""

    name: str
    reason: str


class Held:
    """A packed set in use: as long as this is there, whoever prunes the cache leaves it alone."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / MANIFEST, os.O_RDONLY)
        fcntl.flock(self._file, fcntl.LOCK_SH)
        with contextlib.suppress(PermissionError):
            os.utime(folder)  # used now; raises FileNotFoundError where it has just been pruned

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)


@dataclass(frozen=True)
class Packed:
    """A packed dataset on disk. fingerprint: SHA-256 hex of its pixels."""

    folder: Path
    name: str
    fingerprint: str
    licence: str
    credit: str
    count: int
    size: int
    skipped: list[Skipped] = field(default_factory=list)
    duplicates: int = 0
    held: Held | None = field(default=None, compare=False, repr=False)

    def images(self) -> Images:
        """Map the pictures into memory, read-only: (count, size, size, 3) uint8."""
        mapped: Images = np.load(self.folder / "images.npy", mmap_mode="r", allow_pickle=False)
        return mapped

    def names(self) -> list[str]:
        """Read the pictures' names in the source, in the order of `images`."""
        path = self.folder / "names.json"
        if not path.exists():  # the starter's, as packed before names were kept
            return [f"{index:06}" for index in range(self.count)]
        names: list[str] = json.loads(path.read_bytes())
        return names

    def labels(self) -> dict[str, dict[str, list[Any]]]:
        """Read attribute -> {"values": [...], "codes": [one a picture]}; empty when unlabelled."""
        path = self.folder / "labels.json"
        if not path.exists():
            return {}
        attributes: dict[str, dict[str, list[Any]]] = json.loads(path.read_text())["attributes"]
        return attributes


@dataclass(frozen=True)
class Part:
    """Which of a source's pictures are packed; the fields are `pack`'s."""

    limit: int | None = None
    sample: int | None = None
    least: int = MIN_SIDE

    def choose(self, names: Iterable[str]) -> list[str]:
        """The names of the pictures, sorted."""
        first = sorted(names)[: self.limit]
        if self.sample is None or self.sample >= len(first):
            return first
        return sorted(sorted(first, key=held_out.position)[: self.sample])


@dataclass(frozen=True)
class _Source:
    """What there is to pack: a key for the cache, the pictures' number, and the way to them."""

    key: str
    name: str
    licence: str
    credit: str
    count: int
    pictures: Callable[[], Iterator[tuple[str, Images | BrokenImage]]]
    labels: Callable[[], dict[str, Any]] | None = None


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
) -> Packed:
    """Pack `source` at `size` (8..1024), or find it in `cache`.

    source: 'starter', 'starter-1', a folder or a .zip. limit: the first so many pictures in order
    of their names (starter: how many, default the edition's). sample: of those at most so many, a
    fair choice by their names' digests with the held-out pictures first (starter: its first, which
    are as fair). least: leave out pictures whose shorter side has fewer pixels.
    progress(done, total) is called in this thread. workers: default every core.
    Raises DatasetError, with what to do, for a source without two usable pictures.
    """
    if size not in SIZES:
        raise DatasetError(f"Pictures are packed at 8 to 1024 pixels, not {size}.")
    if limit is not None and limit < FEWEST:
        raise DatasetError(f"A dataset needs at least {FEWEST} pictures, so limit={limit} is low.")
    found = _source(source, size, Part(limit, sample, least), name, licence, workers)
    folder = cache / _digest(FORMAT, size, found.key, found.name, found.licence)[:32]
    packed = _open(folder)
    if packed:
        if progress:
            progress(found.count, found.count)
        return packed
    cache.mkdir(parents=True, exist_ok=True)
    _sweep(cache)
    temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=cache))
    try:
        _write(temporary, found, size, progress)
        return _settle(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _source(
    source: str | Path,
    size: int,
    part: Part,
    name: str | None,
    licence: str,
    workers: int | None,
) -> _Source:
    if isinstance(source, str) and source in starter.EDITIONS:
        return _starter(source, part, size, workers)
    path = Path(source)
    if path.is_dir():
        return _folder(path, size, part, name or path.resolve().name, licence, workers)
    if path.is_file():
        return _zip(path, size, part, name or path.stem, licence, workers)
    raise DatasetError(
        f"There is no folder or zip at {str(source)!r}; give one of those, or 'starter'."
    )


def _starter(name: str, part: Part, size: int, workers: int | None) -> _Source:
    edition = starter.EDITIONS[name]
    count = part.limit or edition.pictures
    count = min(count, part.sample or count)

    def pictures() -> Iterator[tuple[str, Images | BrokenImage]]:
        for index, image in enumerate(starter.render_all(count, size, workers, edition)):
            yield f"{index:06}", image

    return _Source(
        key=starter.fingerprint(count, size, edition),
        name=name,
        licence=starter.LICENCE,
        credit=starter.CREDIT,
        count=count,
        pictures=pictures,
        labels=lambda: starter.labels(count, edition),
    )


def median_side(source: Path) -> int:
    """The median of the shorter sides of up to PROBED readable pictures; 0 without any."""
    part = Part(sample=PROBED)
    if source.is_dir():
        files = {path.relative_to(source).as_posix(): path for path in source.rglob("*")}
        chosen = part.choose(filter(is_image_name, files))
        pictures: Iterable[Named] = ((name, files[name]) for name in chosen)
    else:
        pictures = archive.members(source, only=frozenset(part.choose(archive.names(source))))
    sides = []
    for _, picture in pictures:
        with contextlib.suppress(BrokenImage):
            sides.append(min(size_of(picture)))
    return int(np.median(sides)) if sides else 0


def _folder(
    path: Path, size: int, part: Part, name: str, licence: str, workers: int | None
) -> _Source:
    found = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    names = part.choose(name for name in found if is_image_name(name))
    if not names:
        raise DatasetError(
            f"The folder {path.name!r} has no pictures; put PNG, JPEG, WebP, GIF, BMP or AVIF "
            "files in it."
        )
    stats = [(name, found[name].stat()) for name in names]
    listing = [(name, status.st_size, status.st_mtime_ns) for name, status in stats]
    files = [(name, found[name]) for name in names]
    return _Source(
        key=_digest("folder-2", str(path.resolve()), listing, *_key_of(part.least)),
        name=name,
        licence=licence,
        credit="",
        count=len(names),
        pictures=lambda: _decoded(files, size, workers, part.least),
    )


def _zip(
    path: Path, size: int, part: Part, name: str, licence: str, workers: int | None
) -> _Source:
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    names = part.choose(archive.names(path))

    def pictures() -> Iterator[tuple[str, Images | BrokenImage]]:
        archive.check(path)
        members = archive.members(path, only=frozenset(names))
        yield from _decoded(members, size, workers, part.least)

    return _Source(
        key=_digest("zip-2", content, part.limit, part.sample, *_key_of(part.least)),
        name=name,
        licence=licence,
        credit="",
        count=len(names),
        pictures=pictures,
    )


def _key_of(least: int) -> list[int]:
    """Nothing for the default, so that sets packed by an older Kao are found."""
    return [least] if least != MIN_SIDE else []


def _decoded(
    files: Iterable[Named], size: int, workers: int | None, least: int
) -> Iterator[tuple[str, Images | BrokenImage]]:
    """Decode pictures in order on threads: Pillow lets go of the interpreter while it works."""

    def decode(named: Named) -> tuple[str, Images | BrokenImage]:
        try:
            return named[0], read_square(named[1], size, least)
        except BrokenImage as broken:
            return named[0], broken

    remaining = iter(files)
    with ThreadPoolExecutor(workers or cores.available()) as pool:
        while batch := list(islice(remaining, BATCH)):
            yield from pool.map(decode, batch)


def _write(folder: Path, found: _Source, size: int, progress: Progress | None) -> None:
    """Write the whole dataset into `folder` and see it on the disk."""
    content, distinct, skipped = hashlib.sha256(), set[bytes](), []
    names: list[str] = []
    count = 0
    with (folder / "images.npy").open("wb") as file:
        _header(file, found.count, size)
        for done, (name, image) in enumerate(found.pictures(), start=1):
            if isinstance(image, BrokenImage):
                skipped.append(Skipped(name, image.reason))
            else:
                pixels = image.tobytes()
                file.write(pixels)
                content.update(pixels)
                distinct.add(hashlib.sha256(pixels).digest())
                names.append(name)
                count += 1
            if progress:
                progress(done, found.count)
        file.seek(0)
        _header(file, count, size)
        _flush(file)
    if count < FEWEST:
        raise DatasetError(_unusable(found, count, skipped))
    manifest = {
        "format": FORMAT,
        "name": found.name,
        "licence": found.licence,
        "credit": found.credit,
        "count": count,
        "size": size,
        "fingerprint": content.hexdigest(),
        "skipped": [asdict(one) for one in skipped],
        "duplicates": count - len(distinct),
    }
    _write_json(folder / "names.json", names)
    if found.labels:
        _write_json(folder / "labels.json", found.labels())
    _write_json(folder / MANIFEST, manifest)
    _sync_folder(folder)


def _unusable(found: _Source, count: int, skipped: list[Skipped]) -> str:
    why = f"; {skipped[0].name}: {skipped[0].reason}" if skipped else ""
    return (
        f"{found.name!r} has {count} readable of {found.count} pictures and training needs at "
        f"least {FEWEST}{why}. Bring whole pictures, best some thousands."
    )


def _header(file: BinaryIO, count: int, size: int) -> None:
    """Write the .npy header; NumPy pads it, so that another count leaves its length alone."""
    shape = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, 3)}
    npy.write_array_header_1_0(file, shape)


def _write_json(path: Path, value: Any) -> None:
    with path.open("wb") as file:
        file.write(json.dumps(value, ensure_ascii=False).encode())
        _flush(file)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _settle(temporary: Path, folder: Path) -> Packed:
    """Give the written folder its name; another process's equal one, there first, is as good."""
    temporary.chmod(0o755)  # mkdtemp's 0700 would hide it from an app under another user
    with contextlib.suppress(OSError):
        temporary.rename(folder)
    _sync_folder(folder.parent)
    packed = _open(folder)
    if packed is None:
        raise OSError(f"the packed dataset could not be moved to {folder}")
    return packed


def _open(folder: Path) -> Packed | None:
    """Open a packed dataset; None where there is none, and a damaged one is cleared away."""
    try:
        held = Held(folder)
        manifest = json.loads((folder / MANIFEST).read_bytes())
        packed = Packed(
            folder=folder,
            held=held,
            skipped=[Skipped(**one) for one in manifest["skipped"]],
            **{
                key: manifest[key]
                for key in (
                    "name", "fingerprint", "licence", "credit", "count", "size", "duplicates"
                )
            },
        )  # fmt: skip
        if packed.images().shape == (packed.count, packed.size, packed.size, 3):
            return packed
    except FileNotFoundError:
        if not folder.exists():
            return None
    except (ValueError, KeyError, TypeError, EOFError):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    return None


def _sweep(cache: Path) -> None:
    """Remove what a killed process left half-written."""
    for left in cache.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE:
                shutil.rmtree(left, ignore_errors=True)


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
