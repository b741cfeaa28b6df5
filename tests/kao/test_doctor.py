"""`kao doctor` as typed: a line for each check, and 1 where something is missing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from kao import doctor, embedded_valkey
from models.errors import StorageUnreachable
from models.registry import Registry
from models.settings import Settings
from models.storage.blob_store import Blob, Blobs
from tests.kao.conftest import Kao
from worker.hardware import gpu_check
from worker.hardware.gpu_check import GpuStatus

NO_GPU = GpuStatus(None, driver=False, device=False, names=(), error=None, container=False)


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_check, "probe", lambda: NO_GPU)


def line(output: str, name: str) -> str:
    (line,) = [line for line in output.splitlines() if name in line]
    return line


def test_a_machine_that_has_all(quick: Kao, registry: Registry, settings: Settings) -> None:
    code, output, _ = quick("doctor")
    assert code == 0
    assert "missing" not in output
    assert registry.aliases()["default"] in line(output, "default model")
    assert str(settings.home) in line(output, "disk")
    assert "use the CPU" in line(output, "GPU")


def test_a_home_without_a_model(quick: Kao) -> None:
    code, output, _ = quick("doctor")
    assert code == 1
    assert "missing" in line(output, "default model")
    assert "kao train --promote" in output


def test_a_database_that_does_not_answer_leaves_the_other_lines(
    quick: Kao, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise sa.exc.OperationalError("SELECT 1", {}, OSError("unable to open database file"))

    monkeypatch.setattr(doctor, "open_registry", refuse)
    code, output, _ = quick("doctor")
    assert code == 1
    assert "database's file cannot be opened" in output
    assert "Valkey" in output


def test_a_machine_without_a_queue(
    quick: Kao, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_valkey, "find_server", lambda: None)
    code, output, _ = quick("doctor")
    assert code == 1
    assert "install valkey or redis" in line(output, "Valkey")


def test_a_redis_that_does_not_answer(quick: Kao, registry: Registry, tmp_path: Path) -> None:
    code, output, _ = quick("doctor", REDIS_URL=f"unix://{tmp_path}/nothing.sock")
    assert code == 1
    assert "missing" in line(output, "Redis")


def test_a_bucket_that_does_not_answer(
    quick: Kao, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Blobs) -> Iterator[Blob]:
        raise StorageUnreachable("The storage did not answer")

    monkeypatch.setattr(Blobs, "list_blobs", refuse)
    code, output, _ = quick("doctor", STORAGE_URL="s3://faces/kao")
    assert code == 1
    assert "did not answer" in line(output, " bucket ")


def test_a_gpu_whose_driver_is_missing(
    quick: Kao, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_driver = GpuStatus(None, driver=True, device=True, names=(), error=None, container=False)
    monkeypatch.setattr(gpu_check, "probe", lambda: with_driver)
    code, output, _ = quick("doctor")
    assert code == 1
    assert "CPU build" in line(output, "GPU")
