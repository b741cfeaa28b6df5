"""A backup: database and blobs of one moment in one archive, made while everything runs.

An uncompressed tar of `manifest.json` (every file's SHA-256), the database (database_dump.py), and
the store's files under `store/`. The database comes first, and then the files that it names, as
hard links or from the bucket; where one of them went away in between, the whole is tried again.
"""

import json
import os
import shutil
import tarfile
from functools import partial
from pathlib import Path

from pydantic import BaseModel

from models import bundle
from models.bundle import verify
from models.errors import KaoError
from models.maintenance import database_dump
from models.settings import Settings
from models.storage import atomic, layout
from models.storage.blob_store import Blobs

MANIFEST, STORE, KEY = "manifest.json", layout.STORE, layout.API_KEY
TRIES = 10


class Manifest(BaseModel):
    """What an archive has: each file's name and SHA-256."""

    format: int = 1
    files: dict[str, str]


def backup(settings: Settings, target: Path) -> Manifest:
    """Write an archive; its manifest. Raises KaoError, StorageUnreachable."""
    for _ in range(TRIES):
        with atomic.scratch_folder(settings.storage) as stage:
            named = database_dump.dump(settings, stage)
            try:
                _gather(settings, named, stage)
            except FileNotFoundError:
                continue  # a snapshot or dataset went its way; the next copy does not name it
            if (settings.home / KEY).exists():
                shutil.copyfile(settings.home / KEY, stage / KEY)
            manifest = Manifest(files={name: atomic.sha256(stage / name) for name in _all(stage)})
            _write(stage, manifest, target)
            return manifest
    raise KaoError(
        f"{TRIES} times a file went away while it was copied, or is missing: `kao doctor` and the "
        "log of the app say more."
    )


def restore(settings: Settings, source: Path) -> Manifest:
    """Fill an empty KAO_HOME, or an empty DATABASE_URL, from an archive.

    It is verified as a whole before anything counts. Raises KaoError for a database that is
    there already, and for a damaged or foreign archive.
    """
    database_dump.refuse_full(settings)
    database = database_dump.file(settings)
    with atomic.scratch_folder(settings.storage) as stage:
        manifest = _unpack(source, stage)
        _verify(stage, manifest, database)
        for name in sorted(manifest.files):
            if name.startswith(f"{STORE}/"):
                place = settings.storage / name.removeprefix(f"{STORE}/")
                _move(stage / name, place)
                settings.blobs.put(place)
        if (stage / KEY).exists():
            with atomic.whole_file(settings.home / KEY) as temporary:
                temporary.touch(mode=0o600)
                shutil.copyfile(stage / KEY, temporary)
        database_dump.load(settings, stage / database)  # last: with it the home is one
    return manifest


def _gather(settings: Settings, named: list[str], stage: Path) -> None:
    """Put what the database names into the stage: linked from here, else from the bucket."""
    staged = Blobs(stage / STORE, settings.blobs.url)
    for name in named:
        source, target = settings.storage / name, stage / STORE / name
        if source.exists() or staged.url is None:
            _link(source, target)
        elif (unit := layout.unit(name)) is not None and unit.kind == layout.BUNDLES:
            staged.fetch_folder(target, partial(bundle.check_digest, version=target.name))
        else:
            staged.fetch(target)
        if not target.exists():
            raise FileNotFoundError(name)


def _link(source: Path, target: Path) -> None:
    for file in sorted(source.iterdir()) if source.is_dir() else [source]:
        place = target / file.name if file != source else target
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, place)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without hard links
            shutil.copyfile(file, place)


def _all(stage: Path) -> list[str]:
    return sorted(path.relative_to(stage).as_posix() for path in stage.rglob("*") if path.is_file())


def _write(stage: Path, manifest: Manifest, target: Path) -> None:
    (stage / MANIFEST).write_text(manifest.model_dump_json(indent=1))
    with atomic.whole_file(target.absolute()) as temporary:
        temporary.touch(mode=0o600)  # it has the keys' hashes, and the first key
        with tarfile.open(temporary, "w") as archive:
            for name in (MANIFEST, *manifest.files):
                archive.add(stage / name, name)


def _unpack(source: Path, stage: Path) -> Manifest:
    try:
        with tarfile.open(source, "r:") as archive:
            archive.extractall(stage, filter="data")
        return Manifest.model_validate(json.loads((stage / MANIFEST).read_bytes()))
    except (tarfile.TarError, OSError, ValueError) as error:
        raise KaoError(f"{source.name} is no whole backup: {error}") from None


def _verify(stage: Path, manifest: Manifest, database: str) -> None:
    there = set(_all(stage)) - {MANIFEST}
    other = ({database_dump.SQLITE, database_dump.POSTGRESQL} - {database}).pop()
    if other in there:
        kind = (
            "SQLite; unset DATABASE_URL"
            if other == database_dump.SQLITE
            else "PostgreSQL; set its URL"
        )
        raise KaoError(f"The backup is of {kind}, and restore it there.")
    if there != manifest.files.keys() or database not in there:
        raise KaoError("The backup lacks files, or has some that do not belong to it.")
    damaged = [name for name, sha in manifest.files.items() if atomic.sha256(stage / name) != sha]
    if damaged:
        raise KaoError(f"The backup is damaged: {damaged[0]} is not what was saved.")
    for name in database_dump.check(stage, database) or []:
        if not (stage / STORE / name).exists():
            raise KaoError(f"The backup lacks {name}, which its database names.")
    for folder in sorted((stage / STORE / layout.BUNDLES).glob("*")):
        verify.verify(folder, folder.name)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    atomic.sync(source)
    source.replace(target)
    atomic.sync(target.parent)
