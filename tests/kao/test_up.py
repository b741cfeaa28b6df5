"""The addresses that `kao up` listens on and prints."""

import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kao import up
from kao.console import err
from models.errors import KaoError
from models.settings import Settings
from tests.kao.conftest import Kao
from tests.support.waiting import free_port


@pytest.mark.parametrize("host", ["::1", "[::1]", "::", "127.0.0.1", "0.0.0.0", "localhost"])
def test_it_can_listen_on_ipv6(host: str) -> None:
    up._refuse_taken_port(Settings(host=host, port=free_port()))


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")]
)
def test_a_taken_port_is_named_as_in_an_address(family: int, host: str) -> None:
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        listener.listen()
        port = listener.getsockname()[1]
        authority = f"[::1]:{port}" if family == socket.AF_INET6 else f"127.0.0.1:{port}"
        with pytest.raises(KaoError) as refusal:
            up._refuse_taken_port(Settings(host=host, port=port))
    assert str(refusal.value).startswith(f"{authority} cannot be used (")


def test_the_app_alone_refuses_a_taken_port_before_it_starts(
    quick: Kao, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        code, output, message = quick("serve", "--port", port)
    assert (code, output) == (1, "")
    assert "--port or KAO_PORT" in " ".join(message.split())


def test_an_address_that_is_none_of_this_machine_is_answered_with_the_option_for_it() -> None:
    with pytest.raises(KaoError, match="--host or KAO_HOST"):
        up._refuse_taken_port(Settings(host="nowhere.invalid", port=free_port()))


@pytest.mark.parametrize(
    ("host", "prefix", "address"),
    [
        ("::1", "", "http://[::1]:8143/avatar?seed=42"),
        ("::", "", "http://localhost:8143/avatar?seed=42"),
        ("[::1]", "", "http://[::1]:8143/avatar?seed=42"),
        ("0:0:0:0:0:0:0:0", "", "http://localhost:8143/avatar?seed=42"),
        ("fe80::1%eth0", "", "http://[fe80::1%25eth0]:8143/avatar?seed=42"),
        ("127.0.0.1", "/faces", "http://localhost:8143/faces/avatar?seed=42"),
        ("faces.example", "", "http://faces.example:8143/avatar?seed=42"),
    ],
)
def test_the_greeting_is_an_address(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, host: str, prefix: str, address: str
) -> None:
    up._greet(Settings(home=tmp_path, host=host, port=8143, path_prefix=prefix))
    assert f" {address}\n" in capsys.readouterr().err


def test_the_printed_command_can_be_copied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines: list[str] = []
    monkeypatch.setattr(err, "print", lambda text="", **_: lines.append(text))
    home = tmp_path / "Application Support" / "it's"
    up._greet(Settings(home=home))
    (line,) = [line for line in lines if "Bearer" in line]
    inner = line.partition("$(cat ")[2].partition(")")[0]
    assert shlex.split(inner) == [str(home / "api-key")]


def test_a_key_of_the_environment_is_named_and_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(err, "print", lambda text="", **_: lines.append(text))
    up._greet(Settings(home=tmp_path, api_key="kao_of-the-environment"))
    assert "Bearer $KAO_API_KEY" in "".join(lines)
    assert not any("api-key" in line for line in lines)
    assert not any("of-the-environment" in line for line in lines)


def test_nohup_keeps_a_command_running_after_its_terminal_closed() -> None:
    """`nohup` ignores SIGHUP for the command that it starts, and a handler would undo that."""
    program = (
        "import os, signal, sys; from kao.processes import on_hangup; "
        "on_hangup(lambda: sys.exit(1)); os.kill(os.getpid(), signal.SIGHUP); print('goes on')"
    )
    command = ["nohup", sys.executable, "-c", program]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (process.returncode, process.stdout) == (0, "goes on\n")
