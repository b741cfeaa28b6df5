"""The command line writes what the server answers, byte for byte."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner, Result

from app.avatars.request.picture_types import PICTURE_TYPES, PictureType
from kao import pictures
from kao.pictures import command_name
from tests.support.app_client import state_of

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def home(choosy: TestClient) -> Path:
    """The home of an app whose model has traits."""
    return state_of(choosy).settings.home


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in that home, in a fresh working directory."""
    monkeypatch.setenv("KAO_HOME", str(home))
    monkeypatch.chdir(tmp_path)

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(pictures.cli, list(words))

    return invoke


@pytest.mark.parametrize("extension", ["png", "webp"])
@pytest.mark.parametrize("picture_type", PICTURE_TYPES, ids=command_name)
def test_a_command_writes_what_the_server_answers(
    run: Run, choosy: TestClient, tmp_path: Path, picture_type: PictureType, extension: str
) -> None:
    is_loop = picture_type.layout == "loop"
    format = "apng" if extension == "png" and is_loop else extension
    parameters = dict(parse_qsl(picture_type.example.partition("?")[2]))
    file = tmp_path / f"picture.{format}"
    options = [word for name, value in parameters.items() for word in (f"--{name}", value)]
    result = run(command_name(picture_type), *options, "--trait", "colour=red", "--out", str(file))
    assert result.exit_code == 0, result.output
    query = urlencode({**parameters, "colour": "red", "format": format})
    assert file.read_bytes() == choosy.get(f"{picture_type.path}?{query}").content
    address = result.output.rpartition(": ")[2].strip()
    assert choosy.get(address).content == file.read_bytes()
    identity = run("identify", str(file)).output
    assert f"picture: {picture_type.path}\n" in identity
    assert "colour: red\n" in identity


def test_without_a_seed_it_is_a_new_face_each_time(run: Run, tmp_path: Path) -> None:
    seeds = {run("sample", "--out", str(tmp_path / f"{n}.png")).output.split("&")[0] for n in "ab"}
    assert len(seeds) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["--size", "15"], "16 to 1024", id="size"),
        pytest.param(["--trait", "colour=pink"], "red, blue", id="value"),
        pytest.param(["--trait", "hat=yes"], "colour, light", id="trait"),
        pytest.param(["--best-of", "99"], "--best-of is '99'", id="option"),
        pytest.param(["--trait", "colour"], "name=value", id="no-value"),
        pytest.param(["--trait", "size=64"], "name=value", id="a-parameter"),
        pytest.param(["--model", "nobody"], "nobody", id="model"),
    ],
)
def test_what_the_server_refuses_is_refused_and_nothing_written(
    run: Run, tmp_path: Path, words: list[str], message: str
) -> None:
    result = run("sample", "--seed", "a", *words, "--out", str(tmp_path / "a.png"))
    assert message in str(result.exception)
    assert list(tmp_path.glob("*a.png*")) == []


def test_an_unknown_extension_names_the_known_ones(run: Run) -> None:
    for name in ("a.bmp", "a", "-"):
        message = str(run("sample", "--out", name).exception)
        assert message.startswith(f"--out {name} must end in one of .png, .webp, ")


def test_a_format_that_a_picture_does_not_have_is_that_of_its_file(run: Run) -> None:
    result = run("morph", "--from", "a", "--to", "b", "--out", "a.svg")
    assert str(result.exception) == "The format of --out is 'svg'; allowed: webp, apng, gif."
