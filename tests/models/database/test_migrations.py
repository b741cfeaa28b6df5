"""A migrated database is known as such without loading Alembic."""

import subprocess
import sys

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from models.database.engine import MIGRATIONS, _revision
from models.settings import Settings


@pytest.fixture
def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config)


def test_every_migration_is_named_by_its_revision(scripts: ScriptDirectory) -> None:
    names = {path.name[:4] for path in MIGRATIONS.glob("versions/[0-9]*.py")}
    assert names == {script.revision for script in scripts.walk_revisions()}


def test_a_migrated_database_has_the_newest(engine: sa.Engine, scripts: ScriptDirectory) -> None:
    assert _revision(engine) == scripts.get_current_head()


def test_a_second_start_does_not_load_alembic(engine: sa.Engine, settings: Settings) -> None:
    code = (
        "import sys; from models.database.engine import connect, migrate; "
        "from models.settings import Settings; "
        f"migrate(connect(Settings(home={str(settings.home)!r}))); "
        "sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
