"""A hostile upload is refused with its reason, in little memory, and leaves no file behind."""

import sys
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from models.settings import Settings
from tests.app.conftest import LiveServer
from tests.support.hostile_zips import KINDS, MOST, zipped

ADDRESS = "/datasets?name=evil&licence=none"


def _files(settings: Settings) -> dict[Path, int]:
    """The files of the store and their sizes."""
    paths = settings.storage.rglob("*")
    return {path: path.stat().st_size for path in paths if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_upload_is_refused_with_its_reason(
    client: TestClient, key: dict[str, str], settings: Settings, kind: str
) -> None:
    make, reason = KINDS[kind]
    before = _files(settings)
    answer = client.post(ADDRESS, content=make(), headers=key)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "urn:kao:problem:unusable-dataset"
    assert reason in problem["detail"]
    assert problem["detail"].endswith(".")
    assert problem["detail"].isprintable()
    assert _files(settings) == before


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(KINDS) >= 25


def test_a_refusal_names_a_few_broken_files(client: TestClient, key: dict[str, str]) -> None:
    content = zipped(*((f"{n}.png", b"x") for n in range(9)))
    answer = client.post(f"{ADDRESS}&strict=true", content=content, headers=key)
    detail = answer.json()["detail"]
    assert "'0.png'" in detail
    assert "'8.png'" not in detail
    assert "and 4 more" in detail


def peak_memory(pid: int) -> int:
    """The peak memory of a process, bytes (proc_pid_status(5))."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) << 10
    raise AssertionError


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_all_of_them_together_take_little_memory(
    live_server: LiveServer, settings: Settings
) -> None:
    url, pid = live_server[0], live_server[1].pid
    key = (settings.home / "api-key").read_text().strip()
    headers = {"Authorization": f"Bearer {key}"}
    before, files = peak_memory(pid), _files(settings)
    with httpx.Client(trust_env=False, timeout=120) as client:
        for make, _ in KINDS.values():
            content = make()
            assert len(content) < MOST
            assert client.post(url + ADDRESS, content=content, headers=headers).status_code == 422
    # Half a million entries need the most: zipfile keeps 250 bytes of each.
    assert peak_memory(pid) - before < 300 << 20
    assert _files(settings) == files
