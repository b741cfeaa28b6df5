"""A model's card says at which psi its faces are drawn where a request names none."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.avatars.encode import provenance
from models import bundle
from tests.app.avatars.conftest import serving

PATHS = [
    "/avatar?seed=ada&size=32&format=png",
    "/avatar/ada.png?size=32",
    "/morph?from=a&to=b&frames=2&size=32&format=gif",
    "/sheet?seeds=a,b&size=32&format=png",
    "/og?seed=ada&format=png",
]


def _with_card(source: Path, folder: Path, **fields: Any) -> Path:
    """A copy of a bundle whose card has these fields, or lacks those that are None."""
    shutil.copytree(source, folder)
    card = {**json.loads((folder / bundle.CARD).read_text()), **fields}
    card = {name: value for name, value in card.items() if name not in fields or value is not None}
    (folder / bundle.CARD).write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="module")
def calm(bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first bundle, with a default psi of 0.5."""
    return _with_card(bundles[0], tmp_path_factory.mktemp("calm") / "bundle", psi=0.5)


@pytest.fixture(scope="module")
def old(bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same bundle as it was written before cards had a psi."""
    return _with_card(bundles[0], tmp_path_factory.mktemp("old") / "bundle", psi=None)


@pytest.fixture(scope="module")
def client(calm: Path, old: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """An app that serves `calm` by default and has `old` registered."""
    yield from serving(tmp_path_factory.mktemp("app"), [calm, old])


@pytest.mark.parametrize("path", PATHS)
def test_a_picture_without_psi_has_the_models(client: TestClient, calm: Path, path: str) -> None:
    address = f"{path}&model={bundle.digest(calm)}"
    implicit, explicit = client.get(address), client.get(f"{address}&psi=0.5")
    assert implicit.content == explicit.content
    assert implicit.headers["etag"] == explicit.headers["etag"]
    assert client.get(f"{address}&psi=1").content != implicit.content


@pytest.mark.parametrize("path", PATHS)
def test_a_card_without_psi_means_1(client: TestClient, old: Path, path: str) -> None:
    address = f"{path}&model={bundle.digest(old)}"
    assert client.get(address).content == client.get(f"{address}&psi=1").content


def test_a_picture_names_the_psi_that_it_was_drawn_at(client: TestClient, tmp_path: Path) -> None:
    file = tmp_path / "face.png"
    file.write_bytes(client.get("/avatar?seed=ada&format=png").content)
    _, parameters = provenance.parse_address(provenance.identify(file))
    assert parameters["psi"] == "0.5"


def test_many_faces_at_once_have_it_too(client: TestClient) -> None:
    body = {"seeds": ["ada"], "size": 32, "format": "png"}
    lines = {"Accept": "application/x-ndjson"}
    implicit = client.post("/avatars", json=body, headers=lines)
    explicit = client.post("/avatars", json={**body, "psi": 0.5}, headers=lines)
    assert implicit.text == explicit.text
