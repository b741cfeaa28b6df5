"""A hostile bundle reads no file of the server, runs no code and leaves nothing behind."""

import json
import pickle
import shutil
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import sqlalchemy as sa
from onnx import TensorProto, helper
from safetensors.numpy import load_file, save_file

from models import bundle
from models.errors import BadBundle
from models.registry import Registry
from models.settings import Settings
from tests.support.fixtures import WriteBundle

SECRET = b"\0\0\x80?" * (1 << 22)  # four bytes of it are the number 1: weights for any graph


@pytest.fixture
def registry(engine: sa.Engine, settings: Settings) -> Registry:
    return Registry(engine, settings.storage)


@pytest.fixture
def folder(write_bundle: WriteBundle, tmp_path: Path) -> Path:
    """A valid bundle, beside a file that it must not read."""
    (tmp_path / "secret").write_bytes(SECRET)
    return Path(shutil.copytree(write_bundle(), tmp_path / "bundle"))


def _reads_from(location: str) -> Callable[[Path], None]:
    """Make the graph read its weights from another file."""

    def attack(folder: Path) -> None:
        path = folder / bundle.SYNTHESIS
        graph = onnx.load(path, load_external_data=False)
        for weight in graph.graph.initializer:
            for item in weight.external_data:
                if item.key == "location":
                    item.value = location.format(folder=folder)
                if item.key == "offset":
                    item.value = "0"
        path.write_bytes(graph.SerializeToString())

    return attack


def _links_to_another_file(folder: Path) -> None:
    (folder / bundle.WEIGHTS).unlink()
    (folder / bundle.WEIGHTS).symlink_to(folder.parent / "secret")


def _is_a_pickle(folder: Path) -> None:
    (folder / bundle.WEIGHTS).write_bytes(pickle.dumps({"weight": [1.0]}))


def _has_a_number_that_is_none(folder: Path) -> None:
    weights = load_file(folder / bundle.WEIGHTS)
    weights[min(weights)] = np.full_like(weights[min(weights)], np.nan)
    save_file(weights, folder / bundle.WEIGHTS)


def _calls_an_unknown_library(folder: Path) -> None:
    node = helper.make_node("Run", ["latents"], ["images"], domain="evil.example")
    latents = helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["N", None])
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", None, None, 3])
    graph = helper.make_graph([node], "evil", [latents], [images])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("evil.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), folder / "x.onnx")
    (folder / "x.onnx").replace(folder / bundle.SYNTHESIS)


def _promises_endless_pictures(folder: Path) -> None:
    card = json.loads((folder / bundle.CARD).read_text())
    card["network"]["resolution"] = 1_000_000_000
    (folder / bundle.CARD).write_text(json.dumps(card))


def _has_a_long_card(folder: Path) -> None:
    """Every list of models would read it."""
    card = json.loads((folder / bundle.CARD).read_text())
    (folder / bundle.CARD).write_text(json.dumps(card | {"padding": "x" * 2**21}))


ATTACKS = {
    "reads a file above": _reads_from("../secret"),
    "reads a file by its whole path": _reads_from("{folder}/../secret"),
    "reads a system's file": _reads_from("/etc/passwd"),
    "links to a file": _links_to_another_file,
    "pickle": _is_a_pickle,
    "not a number": _has_a_number_that_is_none,
    "unknown library": _calls_an_unknown_library,
    "endless pictures": _promises_endless_pictures,
    "long card": _has_a_long_card,
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_evil_bundle_is_refused_and_leaves_nothing(
    registry: Registry, folder: Path, attack: Callable[..., Any]
) -> None:
    attack(folder)
    with pytest.raises(BadBundle):
        registry.import_folder(folder)
    assert list(registry.bundles.glob("*")) == []
    assert registry.list_models() == []


@pytest.mark.parametrize(
    "name", ["../card.json", "/card.json", "a/card.json", "card.json\0.png", "CARD.json", "x.pkl"]
)
def test_a_name_that_is_no_bundles_is_refused(
    registry: Registry, tmp_path: Path, name: str
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = info.orig_filename = name
        archive.writestr(info, b"{}")
    with pytest.raises(BadBundle):
        registry.import_zip(tmp_path / "a.zip")
    assert list(registry.bundles.glob("*")) == []


def _patch(content: bytes, local: int, central: int, value: bytes) -> bytes:
    """A zip of one entry with some bytes of both of its headers changed."""
    data = bytearray(content)
    for at in (local, data.find(b"PK\x01\x02") + central):
        data[at : at + len(value)] = value
    return bytes(data)


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(lambda content: b"", id="nothing"),
        pytest.param(lambda content: content[:-9], id="cut-short"),
        pytest.param(lambda content: _patch(content, 4, 6, b"\xff"), id="version-of-the-future"),
        pytest.param(lambda content: _patch(content, 6, 8, b"\x01"), id="encrypted"),
        pytest.param(lambda content: _patch(content, 8, 10, b"\x09"), id="deflate64"),
        pytest.param(lambda content: _patch(content, 8, 10, b"\x08"), id="not-deflated"),
        pytest.param(lambda content: _patch(content, 8, 10, b"\x0e"), id="not-lzma"),
        pytest.param(lambda content: _patch(content, 14, 16, b"crc!"), id="wrong-checksum"),
    ],
)
def test_a_zip_that_is_none_is_refused(
    registry: Registry, tmp_path: Path, attack: Callable[..., Any]
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(bundle.CARD, b"{" * 99)
    (tmp_path / "a.zip").write_bytes(attack((tmp_path / "a.zip").read_bytes()))
    with pytest.raises(BadBundle):
        registry.import_zip(tmp_path / "a.zip")
    assert list(registry.bundles.glob("*")) == []


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_zip_of_a_rare_compression_is_refused(
    registry: Registry, tmp_path: Path, method: int
) -> None:
    """The dictionary of an LZMA stream may have 4 GiB."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr(bundle.CARD, b"{}")
    with pytest.raises(BadBundle, match="compressed"):
        registry.import_zip(tmp_path / "a.zip")


def test_the_list_of_a_zips_entries_takes_little_memory(registry: Registry, tmp_path: Path) -> None:
    """zipfile reads the whole list: of 512 MiB, eleven million entries and over 4 GiB."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x", b"")
    plain = (tmp_path / "a.zip").read_bytes()
    start, end = plain.find(b"PK\x01\x02"), plain.find(b"PK\x05\x06")
    entries = plain[start:end] * 60_000
    # The end of the list, with its length in bytes (APPNOTE 4.3.16).
    ending = bytearray(plain[end:])
    ending[12:16] = len(entries).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(plain[:start] + entries + bytes(ending))
    tracemalloc.start()
    with pytest.raises(BadBundle, match="too many entries"):
        registry.import_zip(tmp_path / "a.zip")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20
    assert list(registry.bundles.glob("*")) == []


def test_a_file_twice_is_refused(registry: Registry, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(bundle.CARD, b"{}")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(bundle.CARD, b"{}")
    with pytest.raises(BadBundle, match="a file twice") as refusal:
        registry.import_zip(tmp_path / "a.zip")
    assert "/" not in str(refusal.value), "no folder of the server"
