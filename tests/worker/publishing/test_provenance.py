"""Files of a new bundle say where they come from, and equal weights still give equal files."""

from pathlib import Path

import onnx
import pytest
import sqlalchemy as sa
import torch

from models import bundle
from models.bundle import provenance
from models.bundle.format import Enlargement
from models.networks.enlarger import Enlarger
from models.onnx_runtime import onnxruntime
from models.registry import SHIPPED, Registry
from models.settings import Settings
from tests.support.fixtures import WriteBundle
from worker.publishing import bundle_writer

ENLARGEMENT = Enlargement(
    scale=4, dataset="starter", pictures=9, steps=1, seconds=1.0, psnr=3.0, psnr_without=2.0
)

OLDER_THAN_PROVENANCE = {"273275b6", "9122d8c8", "eb159cb1", "250b1d41", "76431f6e"}


def read_metadata(path: Path) -> dict[str, object] | None:
    """What a file says of itself, read by its format's own library."""
    if path.suffix == bundle.WEIGHTS_SUFFIX:
        return provenance.read_weights(path)
    model = onnx.load(path, load_external_data=False)
    entries = {entry.key: entry.value for entry in model.metadata_props}
    return provenance.read(entries)


def test_every_file_of_weights_and_graphs_says_it(write_bundle: WriteBundle) -> None:
    folder = write_bundle()
    dataset = bundle.Card.model_validate(bundle.read_card(folder)).dataset
    content = (folder / bundle.WEIGHTS).read_bytes()
    expected = {
        "licence": dataset.licence,
        "credit": dataset.credit,
        "dataset": dataset.fingerprint,
        "digest": provenance.weights_digest(content),
        "seed_specification": 1,
    }
    suffixes = (bundle.GRAPH_SUFFIX, bundle.WEIGHTS_SUFFIX)
    paths = [path for path in folder.iterdir() if path.suffix in suffixes]
    assert len(paths) >= 3
    for path in paths:
        assert read_metadata(path) == expected, path.name
    session = onnxruntime.InferenceSession(str(folder / bundle.SYNTHESIS))
    assert provenance.read(session.get_modelmeta().custom_metadata_map) == expected


def test_equal_weights_give_equal_files(write_bundle: WriteBundle) -> None:
    one, two = write_bundle(seed=3), write_bundle(seed=3)
    for path in one.iterdir():
        if path.name != bundle.CARD:  # which has the time
            assert path.read_bytes() == (two / path.name).read_bytes(), path.name
    other = write_bundle(seed=4)
    assert read_metadata(other / bundle.WEIGHTS) != read_metadata(one / bundle.WEIGHTS)


def test_a_later_enlarger_says_it_too(
    engine: sa.Engine, settings: Settings, write_bundle: WriteBundle
) -> None:
    registry = Registry(engine, settings.blobs)
    old = registry.add(write_bundle())
    enlarger = bundle_writer.Enlarger(Enlarger(4, 8, 1, 1), ENLARGEMENT)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        new = registry.folder(bundle_writer.with_enlarger(registry, old, enlarger))
    assert read_metadata(new / bundle.ENLARGER) == read_metadata(new / bundle.WEIGHTS) is not None


@pytest.mark.parametrize("folder", sorted(SHIPPED.iterdir()), ids=lambda folder: folder.name[:8])
def test_models_that_come_with_kao_keep_their_bytes(folder: Path) -> None:
    assert bundle.digest(folder) == folder.name
    says_nothing = read_metadata(folder / bundle.WEIGHTS) is None
    assert says_nothing == (folder.name[:8] in OLDER_THAN_PROVENANCE)
