"""The command line writes what the server answers, byte for byte."""

from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import pytest
from typer.testing import CliRunner

from app.avatars.request.picture_types import AVATAR, KINDS, Kind
from kao import pictures


@pytest.fixture(scope="module")
def home(choosy):
    """The home of an app whose model has traits."""
    return choosy.app.state.services.settings.home


@pytest.fixture
def kao(home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run a command in that home, its file in a fresh folder."""
    monkeypatch.setenv("KAO_HOME", str(home))
    monkeypatch.chdir(tmp_path)

    def run(*words):
        return CliRunner().invoke(pictures.cli, list(words))

    return run


def _name(kind: Kind) -> str:
    return "sample" if kind is AVATAR else kind.path[1:]


@pytest.mark.parametrize("extension", ["png", "webp"])
@pytest.mark.parametrize("kind", KINDS, ids=_name)
def test_a_command_writes_what_the_server_answers(
    kao, choosy, tmp_path: Path, kind, extension
) -> None:
    format = (
        "apng" if extension == "png" and kind.path in ("/morph", "/walk", "/grow") else extension
    )
    given = dict(parse_qsl(kind.example.partition("?")[2]))
    file = tmp_path / f"picture.{format}"
    options = [word for name, value in given.items() for word in (f"--{name}", value)]
    told = kao(_name(kind), *options, "--trait", "colour=red", "--out", str(file))
    assert told.exit_code == 0, told.output
    asked = urlencode({**given, "colour": "red", "format": format})
    assert file.read_bytes() == choosy.get(f"{kind.path}?{asked}").content
    address = told.output.rpartition(": ")[2].strip()
    assert choosy.get(address).content == file.read_bytes()
    said = kao("identify", str(file)).output
    assert f"picture: {kind.path}\n" in said
    assert "colour: red\n" in said


def test_without_a_seed_it_is_a_new_face_each_time(kao, tmp_path: Path) -> None:
    seeds = {kao("sample", "--out", str(tmp_path / f"{n}.png")).output.split("&")[0] for n in "ab"}
    assert len(seeds) == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(["--size", "15"], "16 to 1024", id="size"),
        pytest.param(["--trait", "colour=pink"], "red, blue", id="value"),
        pytest.param(["--trait", "hat=yes"], "colour, light", id="trait"),
        pytest.param(["--trait", "colour"], "name=value", id="no-value"),
        pytest.param(["--trait", "size=64"], "name=value", id="a-parameter"),
        pytest.param(["--model", "nobody"], "nobody", id="model"),
    ],
)
def test_what_the_server_refuses_is_refused_and_nothing_written(
    kao, tmp_path: Path, words, told
) -> None:
    answer = kao("sample", "--seed", "a", *words, "--out", str(tmp_path / "a.png"))
    assert told in str(answer.exception)
    assert list(tmp_path.glob("*a.png*")) == []


def test_an_unknown_extension_names_those_there_are(kao) -> None:
    assert ".webp" in str(kao("sample", "--out", "a.bmp").exception)
