"""Commands as a user types them, in this process and in processes of their own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from kao.main import main
from models import bootstrap
from models.settings import Settings
from tests.app.avatars.conftest import bundle_with_labels, choosy
from tests.app.conftest import bundles, registry, settings

__all__ = ["bundle_with_labels", "bundles", "choosy", "registry", "settings"]


class Result(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Kao = Callable[..., Result]


@pytest.fixture
def kao(settings: Settings) -> Kao:
    """Run a command on the test's home, as a process."""
    environment = {**os.environ, **settings.environment(), "OMP_NUM_THREADS": "1"}

    def run(*words: str, **variables: str) -> Result:
        process = subprocess.run(
            [sys.executable, "-m", "kao", *words],
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        return Result(process.returncode, process.stdout, process.stderr)

    return run


@pytest.fixture
def quick(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Kao:
    """Run a command on the test's home, in this process, without the shipped models."""
    (tmp_path / "none-shipped").mkdir()
    monkeypatch.setattr(bootstrap, "SHIPPED", tmp_path / "none-shipped")
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    def run(*words: str, **variables: str) -> Result:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["kao", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            main()
        code = ending.value.code
        assert code is None or isinstance(code, int)
        return Result(code or 0, *capsys.readouterr())

    return run
