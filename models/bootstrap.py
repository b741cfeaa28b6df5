"""What a fresh KAO_HOME needs before anything can serve: tables and a first model."""

from pathlib import Path

import sqlalchemy as sa

from models import bundle
from models.database.engine import connect, migrate
from models.registry import Registry
from models.settings import Settings
from models.storage import atomic

SHIPPED = Path(__file__).parent / "shipped"


def prepare(settings: Settings) -> sa.Engine:
    """Migrate the database and register the models that came with Kao. Safe to repeat.

    Older ones stay, since their versions are in somebody's addresses; only a home without a
    default takes the newest as its own, so that an upgrade moves no face.
    """
    atomic.private_folder(settings.storage)
    engine = connect(settings)
    migrate(engine)
    registry = Registry(engine, settings.blobs)
    known = {row["version"] for row in registry.list_models()}
    for folder in shipped():
        if folder.name not in known or not registry.folder(folder.name).exists():
            registry.import_folder(folder)
    return engine


def shipped() -> list[Path]:
    """The bundles that came with Kao, the newest first."""
    folders = [path.parent for path in SHIPPED.glob("*/card.json")]
    return sorted(folders, key=lambda folder: bundle.read_card(folder)["created"], reverse=True)
