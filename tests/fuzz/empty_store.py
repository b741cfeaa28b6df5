"""A home with nothing in it, for tests that atheris calls without fixtures."""

import atexit
import tempfile
from functools import lru_cache
from pathlib import Path

import sqlalchemy as sa

from models.database import engine as database
from models.registry import Registry
from models.settings import Settings


@lru_cache(maxsize=1)
def empty() -> tuple[sa.Engine, Registry]:
    """Its database and its registry; gone when the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="kao-fuzz-")
    settings = Settings(home=Path(folder.name))
    engine = database.connect(settings)
    database.migrate(engine)
    atexit.register(folder.cleanup)
    atexit.register(engine.dispose)
    return engine, Registry(engine, settings.storage)
