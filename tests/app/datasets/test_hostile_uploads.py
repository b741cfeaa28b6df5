"""An evil upload is refused with its reason, in little memory, and leaves nothing behind."""

import sys
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from models.settings import Settings
from tests.support.hostile_zips import KINDS, MOST, zipped

WHERE = "/datasets?name=evil&licence=none"


def _files(settings):
    """Each file of the store and its size."""
    found = settings.storage.rglob("*")
    return {path: path.stat().st_size for path in found if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_an_evil_upload_is_refused_with_its_reason(
    client: TestClient, key: dict[str, str], settings: Settings, kind
) -> None:
    make, reason = KINDS[kind]
    before = _files(settings)
    answer = client.post(WHERE, content=make(), headers=key)
    assert answer.status_code == 422
    told = answer.json()
    assert told["type"] == "urn:kao:problem:unusable-dataset"
    assert reason in told["detail"]
    assert told["detail"].endswith(".")
    assert told["detail"].isprintable()
    assert _files(settings) == before


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(KINDS) >= 25


def test_only_so_many_wrong_files_are_named(client: TestClient, key: dict[str, str]) -> None:
    content = zipped(*((f"{n}.png", b"x") for n in range(9)))
    detail = client.post(WHERE, content=content, headers=key).json()["detail"]
    assert "'0.png'" in detail
    assert "'8.png'" not in detail
    assert "and 4 more" in detail


def peak(pid):
    """The most memory that a process ever had, in bytes (proc_pid_status(5))."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) << 10
    raise AssertionError


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_all_of_them_together_take_little_memory(served, settings: Settings) -> None:
    url, pid = served[0], served[1].pid
    key = (settings.home / "api-key").read_text().strip()
    headers = {"Authorization": f"Bearer {key}"}
    before, files = peak(pid), _files(settings)
    with httpx.Client(trust_env=False, timeout=120) as client:
        for make, _ in KINDS.values():
            content = make()
            assert len(content) < MOST
            assert client.post(url + WHERE, content=content, headers=headers).status_code == 422
    # Half a million entries are the worst: zipfile keeps 250 bytes of each.
    assert peak(pid) - before < 300 << 20
    assert _files(settings) == files
