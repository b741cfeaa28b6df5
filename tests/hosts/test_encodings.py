"""A PostgreSQL database of another encoding than UTF-8 is refused in a sentence."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from models import bootstrap
from models.database.engine import connect, wait_until_available
from models.errors import KaoError
from models.settings import Settings
from tests.support.servers import Postgres
from tests.support.waiting import free_port


def database_of(postgres: Postgres, encoding: str) -> str:
    """A new database's URL."""
    url, name = postgres.database(), f"of_{encoding.lower()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        options = f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        connection.execute(f"CREATE DATABASE {name} {options}")
    return url.rpartition("/")[0] + f"/{name}"


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_it_is_refused_by_its_name_with_what_to_do(
    postgres: Postgres, tmp_path: Path, encoding: str
) -> None:
    settings = Settings(home=tmp_path, database_url=database_of(postgres, encoding))
    with pytest.raises(KaoError, match=rf"encoding {encoding}.*ENCODING 'UTF8'"):
        bootstrap.prepare(settings)


def test_a_start_says_so_and_ends(postgres: Postgres, tmp_path: Path) -> None:
    variables = {"KAO_HOME": str(tmp_path), "DATABASE_URL": database_of(postgres, "SQL_ASCII")}
    process = subprocess.run(
        [sys.executable, "-m", "kao", "serve", "--port", str(free_port())],
        env={**os.environ, **variables, "COLUMNS": "500"},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert process.returncode == 1
    assert process.stderr.startswith("kao: The database 'of_sql_ascii' has the encoding SQL_ASCII")
    assert "Traceback" not in process.stderr


def test_what_the_sentence_tells_to_make_is_taken(postgres: Postgres, tmp_path: Path) -> None:
    engine = connect(Settings(home=tmp_path, database_url=database_of(postgres, "UTF8")))
    wait_until_available(engine)
    engine.dispose()
