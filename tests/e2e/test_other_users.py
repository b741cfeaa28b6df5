"""Another user of the machine gets no session, key, address or private picture."""

import io
import json
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from models.storage import atomic
from tests.support.fixtures import StartUp
from tests.support.kao_up import Up

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"),
]
KEY_PREFIX = b"kao_"


def _as_nobody(work: Callable[[], Any]) -> Any:
    """The result of `work` in a forked child that is user nobody, without groups."""
    user = pwd.getpwnam("nobody")
    receiver, sender = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            os.write(sender, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(sender)
    with os.fdopen(receiver) as pipe:
        result = json.load(pipe)
    os.waitpid(child, 0)
    return result


def _readable_files(folder: Path) -> list[str]:
    """The files below a folder that this user can open."""
    files = []
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                with (Path(root) / name).open("rb"):
                    files.append(name)
            except OSError:
                continue
    return sorted(files)


def _reachable_sockets(folder: Path) -> list[str]:
    """The Unix sockets below a folder that this user can connect to."""
    names = []
    for root, _, files in os.walk(folder):
        for path in (Path(root) / name for name in files):
            try:
                if stat.S_ISSOCK(path.stat().st_mode):
                    with socket.socket(socket.AF_UNIX) as client:
                        client.connect(str(path))
                        names.append(path.name)
            except OSError:
                continue
    return names


def _process_texts(pids: list[int]) -> str:
    """What /proc shows this user of processes: arguments, and environments where it may."""
    texts = []
    for pid in pids:
        for name in ("cmdline", "environ"):
            try:
                texts.append(Path(f"/proc/{pid}/{name}").read_bytes().decode("latin-1"))
            except OSError:
                continue
    return "\n".join(texts)


def _pictures() -> bytes:
    """A zip of eight pictures."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as pictures:
        for number in range(8):
            file = io.BytesIO()
            Image.effect_noise((64, 64), 20 + number).save(file, "PNG")
            pictures.writestr(f"{number}.png", file.getvalue())
    return archive.getvalue()


@pytest.fixture
def up(folder: Path, start_up: StartUp) -> Up:
    """A private service below a folder that everybody may enter."""
    folder.chmod(0o755)
    home = folder / "home"
    home.mkdir(mode=0o755)  # as `mkdir` makes it; Kao makes it private
    previous = os.umask(0o022)
    try:
        return start_up(KAO_PUBLIC_AVATARS="false")
    finally:
        os.umask(previous)


def _fill(up: Up) -> None:
    """Let Kao write one file of each kind."""
    query = {"name": "faces", "licence": "mine"}
    upload = up.client.post("/datasets", params=query, content=_pictures(), headers=up.key)
    assert upload.status_code == 201, upload.text
    up.finished(up.train(preset="smoke", images=320, dataset_limit=64, snapshot_seconds=0.2))
    command = [sys.executable, "-m", "kao", "backup", str(up.home.parent / "kao.tar")]
    subprocess.run(command, env=up.environment, check=True, capture_output=True)


def test_another_user_reads_nothing_that_kao_wrote(up: Up, folder: Path) -> None:
    _fill(up)
    (folder / "public").write_text("so that this test can fail")
    (folder / "public").chmod(0o644)
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert names >= {"kao.db", "api-key", "kao.tar", "card.json"}
    with atomic.scratch_folder(up.home / "store") as stage:  # as `kao backup` has while it runs
        shutil.copyfile(up.home / "api-key", stage / "api-key")
        # The log of this test's own making, and the file above.
        assert set(_as_nobody(lambda: _readable_files(folder))) == {"public", "up.log"}
    assert KEY_PREFIX not in (folder / "up.log").read_bytes()


def test_another_user_reaches_no_queue_and_sees_no_key_in_a_process(up: Up, folder: Path) -> None:
    sockets = [path for path in folder.rglob("*") if path.is_socket()]
    assert sockets, "the queue has one"
    assert _as_nobody(lambda: _reachable_sockets(folder)) == []
    processes = [psutil.Process(up.process.pid), *up.children()]
    text = _as_nobody(lambda: _process_texts([process.pid for process in processes]))
    assert "kao" in text
    assert KEY_PREFIX.decode() not in text


def test_another_user_gets_no_picture_without_a_key(up: Up) -> None:
    def status(path: str) -> int:
        host = ("127.0.0.1", up.port)
        with socket.create_connection(host, timeout=30) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            return int(client.makefile("rb").readline().split()[1])

    paths = ("/avatar?seed=1", "/sheet?count=2", "/models", "/train", "/datasets", "/keys")
    assert _as_nobody(lambda: [status(path) for path in paths]) == [401] * len(paths)
