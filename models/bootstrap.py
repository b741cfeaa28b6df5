"""The start of a home: its tables, and the models that come with Kao."""

from pathlib import Path

import sqlalchemy as sa
import structlog

from models import bundle
from models.database.engine import connect, has_tables, migrate, wait_until_available
from models.errors import BadBundle, LostDatabase
from models.registry import SHIPPED as SHIPPED, Registry
from models.settings import Settings
from models.storage import atomic, layout

log = structlog.get_logger()


def prepare(settings: Settings) -> sa.Engine:
    """Migrate the database and register the models that come with Kao. Safe to repeat.

    Older models stay, since URLs may name their versions. Only a home without a default takes the
    newest as its own, so an upgrade moves no face. A damaged copy of one of them is replaced.
    """
    engine = open_database(settings)
    registry = Registry(engine, settings.blobs)
    known_versions = {row["version"] for row in registry.list_models()}
    for folder in shipped_bundles():
        if folder.name not in known_versions or not _is_whole(registry.folder(folder.name), folder):
            # Newest first, so that the newest becomes the default; lists sort by these times.
            registry.import_folder(folder, bundle.read_card(folder)["created"])
    return engine


def open_database(settings: Settings) -> sa.Engine:
    """Connect and migrate. Raises LostDatabase for an empty database beside published models.

    A database that was lost is never taken for a new home: `default` would name another model, and
    `kao gc` would list every published file.
    """
    atomic.private_folder(settings.storage)
    engine = connect(settings)
    wait_until_available(engine)
    if not has_tables(engine) and (versions := _published_versions(settings)):
        engine.dispose()
        raise LostDatabase(len(versions))
    migrate(engine)
    return engine


def adopt(settings: Settings) -> list[str]:
    """Register every whole bundle of the store, after the database was lost; the new versions.

    `default` and `latest` name the newest of them where they name none. Damaged bundles are left
    out.
    """
    atomic.private_folder(settings.storage)
    engine = connect(settings)
    migrate(engine)
    registry = Registry(engine, settings.blobs)
    creation_times: dict[str, str] = {}
    for version in _published_versions(settings):
        try:
            registry.load(version)
        except BadBundle as error:
            log.warning("bundle.not_adopted", version=version[:12], reason=str(error))
            continue
        creation_times[version] = bundle.read_card(registry.folder(version))["created"]
    newest_first = sorted(creation_times, key=lambda version: creation_times[version], reverse=True)
    new_versions = [
        version for version in newest_first if registry.adopt(version, creation_times[version])
    ]
    engine.dispose()
    return new_versions


def _published_versions(settings: Settings) -> list[str]:
    """Return the versions in the store or bucket that did not come with Kao."""
    folder = settings.storage / layout.BUNDLES
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    units = (layout.unit(blob.name) for blob in settings.blobs.list_blobs())
    names |= {unit.owner for unit in units if unit is not None and unit.kind == layout.BUNDLES}
    shipped_versions = {path.name for path in shipped_bundles()}
    return sorted(
        name for name in names if not layout.is_temporary(name) and name not in shipped_versions
    )


def shipped_bundles() -> list[Path]:
    """Return the folders of the bundles that come with Kao, the newest first."""
    folders = [path.parent for path in SHIPPED.glob("*/card.json")]
    return sorted(folders, key=lambda folder: bundle.read_card(folder)["created"], reverse=True)


def _is_whole(copy: Path, original: Path) -> bool:
    """Whether a copy has the files of the original in their sizes; hashing waits for loading."""
    sizes = {path.name: path.stat().st_size for path in original.iterdir()}
    return copy.is_dir() and sizes == {path.name: path.stat().st_size for path in copy.iterdir()}
