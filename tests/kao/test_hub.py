"""Models go to a stand-in of the Hugging Face Hub and come back the same."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi, constants

from kao import hub
from models import bundle
from models.database.engine import connect, migrate
from models.errors import BadBundle, KaoError
from models.registry import Registry
from models.settings import Settings
from tests.kao.conftest import Kao
from tests.support.hub import TOKEN, Hub, serving

NAME = "ada/faces"
# huggingface_hub 2.4 uploads by an argument that httpx2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty Hub without Xet."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with serving() as content:
        yield content


@pytest.fixture
def api(stand_in: Hub) -> HfApi:
    """Its client, logged in."""
    return HfApi(endpoint=stand_in.url, token=TOKEN)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Registry]:
    """The registry of another home."""
    settings = Settings(home=tmp_path / "other")
    engine = connect(settings)
    migrate(engine)
    yield Registry(engine, settings.storage)
    engine.dispose()


def test_a_model_comes_back_with_its_version(
    stand_in: Hub, api: HfApi, registry: Registry, other: Registry
) -> None:
    version = registry.resolve("default")
    url = hub.push(api, registry, "default", NAME)
    assert url.startswith(f"{stand_in.url}/{NAME}/commit/")
    folder = registry.folder(version)
    files = dict(stand_in.files(NAME))
    page = files.pop("README.md").decode()
    assert files == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert version in page
    assert "license: cc0-1.0\n" in page
    # Weights by Git LFS, the card in the commit.
    weights = (folder / bundle.WEIGHTS).read_bytes()
    assert weights in stand_in.objects.values()
    assert hub.pull(api, other, NAME) == version
    assert bundle.digest(other.folder(version)) == version
    assert other.resolve("default") == version


def test_a_second_push_replaces_the_first(
    stand_in: Hub, api: HfApi, registry: Registry, other: Registry, bundles: list[Path]
) -> None:
    hub.push(api, registry, "default", NAME)
    first = stand_in.repositories[NAME].head
    # As from a model that had more.
    stand_in.files(NAME)[bundle.NEAREST] = b"a picture"
    stand_in.files(NAME)["notes.txt"] = b"of its owner"
    second = bundle.digest(bundles[1])
    hub.push(api, registry, second, NAME)
    assert bundle.NEAREST not in stand_in.files(NAME)
    assert stand_in.files(NAME)["notes.txt"] == b"of its owner"
    assert hub.pull(api, other, NAME) == second
    del stand_in.repositories[NAME].commits[first][bundle.NEAREST]
    assert hub.pull(api, other, NAME, first) == registry.resolve("default")


Change = Callable[[dict[str, bytes]], object]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda files: files.pop(bundle.WEIGHTS), "it lacks generator", id="missing"),
        pytest.param(
            lambda files: files.update({bundle.SYNTHESIS: b"\x08\x07"}), "synthesis", id="graph"
        ),
        pytest.param(lambda files: files.update({bundle.CARD: b"{}"}), "card.json", id="card"),
    ],
)
def test_a_bad_model_is_not_registered(
    stand_in: Hub,
    api: HfApi,
    registry: Registry,
    other: Registry,
    change: Change,
    reason: str,
) -> None:
    hub.push(api, registry, "default", NAME)
    change(stand_in.files(NAME))
    with pytest.raises((KaoError, BadBundle), match=reason):
        hub.pull(api, other, NAME)
    assert other.list_models() == []
    assert list(other.bundles.iterdir()) == []


def test_what_a_person_can_correct_is_a_sentence(
    stand_in: Hub, api: HfApi, registry: Registry, other: Registry
) -> None:
    with pytest.raises(KaoError, match="no repository ada/none"):
        hub.pull(api, other, "ada/none")
    stranger = HfApi(endpoint=stand_in.url, token=False)
    with pytest.raises(KaoError):
        hub.push(stranger, registry, "default", NAME)
    hub.push(api, registry, "default", NAME, private=True)
    with pytest.raises(KaoError, match="HF_TOKEN"):
        hub.pull(stranger, other, NAME)
    with pytest.raises(KaoError, match="ada/b/c"):
        hub.pull(api, other, "ada/b/c")
    nowhere = HfApi(endpoint="http://127.0.0.1:9", token=TOKEN)
    with pytest.raises(KaoError, match="cannot be reached"):
        hub.pull(nowhere, other, NAME)


@pytest.mark.slow  # two processes that import everything
def test_the_commands_use_the_endpoint_of_the_environment(
    stand_in: Hub, kao: Kao, registry: Registry, tmp_path: Path
) -> None:
    variables = {"HF_ENDPOINT": stand_in.url, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
    variables |= {"HF_HOME": str(tmp_path / "hf")}
    push_output = kao("models", "push", "default", NAME, "--private", **variables)
    assert (push_output.code, stand_in.url in push_output.out) == (0, True), push_output.err
    home = str(tmp_path / "other-home")
    pull_output = kao("models", "pull", NAME, KAO_HOME=home, **variables)
    assert (pull_output.code, pull_output.out) == (0, f"added {registry.resolve('default')}\n"), (
        pull_output.err
    )
