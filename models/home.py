"""What a fresh KAO_HOME needs before anything can serve: tables and a first model."""

from pathlib import Path

import sqlalchemy as sa

from models.database import connect, migrate
from models.registry import Registry
from models.settings import Settings

SHIPPED = Path(__file__).parent / "shipped"


def prepare(settings: Settings) -> sa.Engine:
    """Migrate the database and register the models that came with Kao. Safe to repeat."""
    engine = connect(settings)
    migrate(engine)
    registry = Registry(engine, settings.storage)
    for folder in sorted(SHIPPED.iterdir()):
        if (folder / "card.json").exists() and not registry.folder(folder.name).exists():
            registry.import_folder(folder)
    return engine
