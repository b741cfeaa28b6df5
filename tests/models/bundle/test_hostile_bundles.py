"""A bundle from a stranger reads no file of ours, runs no code and leaves nothing behind."""

import json
import pickle
import shutil
import zipfile
from pathlib import Path

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

SECRET = b"\0\0\x80?" * (1 << 22)  # four bytes of it are the number 1: weights for any graph


@pytest.fixture
def registry(engine: sa.Engine, settings: Settings):
    return Registry(engine, settings.storage)


@pytest.fixture
def folder(write_bundle, tmp_path: Path):
    """A good bundle to spoil, beside a file that is none of its business."""
    (tmp_path / "secret").write_bytes(SECRET)
    return Path(shutil.copytree(write_bundle(), tmp_path / "bundle"))


def _reads_from(location):
    """Let a weight of the graph be read from elsewhere."""

    def spoil(folder) -> None:
        path = folder / bundle.SYNTHESIS
        graph = onnx.load(path, load_external_data=False)
        for weight in graph.graph.initializer:
            for item in weight.external_data:
                if item.key == "location":
                    item.value = location.format(folder=folder)
                if item.key == "offset":
                    item.value = "0"
        path.write_bytes(graph.SerializeToString())

    return spoil


def _links_to_another_file(folder) -> None:
    (folder / bundle.WEIGHTS).unlink()
    (folder / bundle.WEIGHTS).symlink_to(folder.parent / "secret")


def _is_a_pickle(folder) -> None:
    (folder / bundle.WEIGHTS).write_bytes(pickle.dumps({"weight": [1.0]}))


def _has_a_number_that_is_none(folder) -> None:
    weights = load_file(folder / bundle.WEIGHTS)
    weights[min(weights)] = np.full_like(weights[min(weights)], np.nan)
    save_file(weights, folder / bundle.WEIGHTS)


def _calls_an_unknown_library(folder) -> None:
    node = helper.make_node("Run", ["latents"], ["images"], domain="evil.example")
    given = helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["N", None])
    drawn = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", None, None, 3])
    graph = helper.make_graph([node], "evil", [given], [drawn])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("evil.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), folder / "x.onnx")
    (folder / "x.onnx").replace(folder / bundle.SYNTHESIS)


def _promises_endless_pictures(folder) -> None:
    card = json.loads((folder / bundle.CARD).read_text())
    card["network"]["resolution"] = 1_000_000_000
    (folder / bundle.CARD).write_text(json.dumps(card))


SPOILS = {
    "reads a file above": _reads_from("../secret"),
    "reads a file by its whole path": _reads_from("{folder}/../secret"),
    "reads a system's file": _reads_from("/etc/passwd"),
    "links to a file": _links_to_another_file,
    "pickle": _is_a_pickle,
    "not a number": _has_a_number_that_is_none,
    "unknown library": _calls_an_unknown_library,
    "endless pictures": _promises_endless_pictures,
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_an_evil_bundle_is_refused_and_leaves_nothing(registry: Registry, folder, spoil) -> None:
    spoil(folder)
    with pytest.raises(BadBundle):
        registry.import_folder(folder)
    assert list(registry.bundles.glob("*")) == []
    assert registry.list_models() == []


@pytest.mark.parametrize(
    "name", ["../card.json", "/card.json", "a/card.json", "card.json\0.png", "CARD.json", "x.pkl"]
)
def test_a_name_that_is_no_bundles_is_refused(registry: Registry, tmp_path: Path, name) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = info.orig_filename = name
        archive.writestr(info, b"{}")
    with pytest.raises(BadBundle):
        registry.import_zip(tmp_path / "a.zip")
    assert list(registry.bundles.glob("*")) == []


def _patched(content, local, central, value):
    """A zip of one entry with some bytes of both of its headers changed."""
    data = bytearray(content)
    for at in (local, data.find(b"PK\x01\x02") + central):
        data[at : at + len(value)] = value
    return bytes(data)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda zipped: b"", id="nothing"),
        pytest.param(lambda zipped: zipped[:-9], id="cut-short"),
        pytest.param(lambda zipped: _patched(zipped, 4, 6, b"\xff"), id="version-of-the-future"),
        pytest.param(lambda zipped: _patched(zipped, 6, 8, b"\x01"), id="encrypted"),
        pytest.param(lambda zipped: _patched(zipped, 8, 10, b"\x09"), id="deflate64"),
        pytest.param(lambda zipped: _patched(zipped, 8, 10, b"\x08"), id="not-deflated"),
        pytest.param(lambda zipped: _patched(zipped, 8, 10, b"\x0e"), id="not-lzma"),
        pytest.param(lambda zipped: _patched(zipped, 14, 16, b"crc!"), id="wrong-checksum"),
    ],
)
def test_a_zip_that_is_none_is_refused(registry: Registry, tmp_path: Path, spoil) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(bundle.CARD, b"{" * 99)
    (tmp_path / "a.zip").write_bytes(spoil((tmp_path / "a.zip").read_bytes()))
    with pytest.raises(BadBundle):
        registry.import_zip(tmp_path / "a.zip")
    assert list(registry.bundles.glob("*")) == []


def test_a_file_twice_is_refused(registry: Registry, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(bundle.CARD, b"{}")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(bundle.CARD, b"{}")
    with pytest.raises(BadBundle):
        registry.import_zip(tmp_path / "a.zip")
