"""Commands as a user types them, in this process and in processes of their own."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

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
    environment = {**os.environ, **settings.environment(), "COLUMNS": "200", "OMP_NUM_THREADS": "1"}

    def run(*words: str, **variables: str) -> Result:
        process = subprocess.run(
            [sys.executable, "-m", "kao", *words],
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        return Result(process.returncode, process.stdout, process.stderr)

    return run
