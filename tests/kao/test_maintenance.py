"""`kao gc`, `kao backup` and `kao restore` as typed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models import bundle, keys
from models.database.engine import connect
from models.registry import Registry
from models.settings import Settings
from tests.kao.conftest import Kao

DAYS = 3 * 24 * 3600  # s; younger files may belong to a process that still writes


@pytest.fixture
def stray(settings: Settings, registry: Registry) -> Path:
    """An old bundle's folder that is not in the registry."""
    folder = registry.bundles / ("0" * 64)
    folder.mkdir()
    (folder / "card.json").write_text("{}")
    when = time.time() - DAYS
    for path in (folder / "card.json", folder):
        os.utime(path, (when, when))
    return folder


def test_gc_lists_and_removes_only_with_yes(
    quick: Kao, stray: Path, registry: Registry, bundles: list[Path]
) -> None:
    code, output, _ = quick("gc")
    assert code == 0
    assert stray.name[:12] in output
    assert "--yes" in output
    assert stray.exists()
    code, output, _ = quick("gc", "--yes")
    assert code == 0
    assert "removed 1 files" in output
    assert not stray.exists()
    assert all(registry.folder(bundle.digest(folder)).exists() for folder in bundles[:2])
    assert "not needed: 0 files" in quick("gc").out


def test_a_backup_fills_an_empty_home(
    quick: Kao, settings: Settings, registry: Registry, tmp_path: Path
) -> None:
    key_output = quick("keys", "create", "ci", "--scope", "read")
    file, home = tmp_path / "kao.tar", tmp_path / "restored"
    code, output, _ = quick("backup", str(file))
    assert code == 0
    assert "keep it secret" in output
    code, output, message = quick("restore", str(file), KAO_HOME=str(home))
    assert (code, message) == (0, "")
    assert str(home) in output
    new_settings = Settings(home=home)
    engine = connect(new_settings)
    assert keys.find(engine, key_output.out.strip()) is not None
    assert Registry(engine, new_settings.storage).aliases() == registry.aliases()
    engine.dispose()


def test_a_home_in_use_is_not_overwritten(quick: Kao, registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "kao.tar"
    assert quick("backup", str(file)).code == 0
    code, output, message = quick("restore", str(file))
    assert (code, output) == (1, "")
    assert "Traceback" not in message
    assert registry.aliases()["default"]


def test_a_missing_archive_is_a_sentence(quick: Kao, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.tar")
    code, output, message = quick("restore", missing, KAO_HOME=str(tmp_path / "new"))
    assert (code, output) == (1, "")
    assert missing in message


# `kao backup` whose archive takes for ever; it prints a line when its copies are there.
ENDLESS_BACKUP = """
import signal, sys
from pathlib import Path
from kao.main import main
from models.maintenance import backup

def write(stage: Path, manifest: object, target: Path) -> None:
    with backup.atomic.whole_file(target) as temporary:
        temporary.write_bytes(b"keys")
        print("copied", flush=True)
        signal.pause()

backup._write = write
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever started the tests, such as nohup, ignores
sys.argv = ["kao", "backup", sys.argv[1]]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda each: each.name)
def test_an_ended_backup_leaves_no_copy_of_a_key(
    settings: Settings, registry: Registry, tmp_path: Path, number: signal.Signals
) -> None:
    target = tmp_path / "mnt" / "kao.tar"
    target.parent.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS_BACKUP, str(target)],
        env={**os.environ, **settings.environment()},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "copied\n"
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    process.stdout.close()
    assert list(target.parent.iterdir()) == []
    assert [path.name for path in settings.storage.iterdir() if path.name.startswith(".")] == []
