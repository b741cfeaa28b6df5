"""A published model that gets an enlarger keeps its generator, and no measure of other faces."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
import torch

from models import bundle
from models.bundle.format import Enlargement, Evaluation
from models.errors import BadBundle, KaoError
from models.networks.enlarger import Enlarger
from models.registry import Registry
from models.settings import Settings
from tests.support.enlargers import add_enlarger
from worker.publishing import bundle_writer

CARD = Enlargement(
    scale=4, dataset="starter", pictures=9, steps=1, seconds=1.0, psnr=3.0, psnr_without=2.0
)


@pytest.fixture
def registry(engine: sa.Engine, settings: Settings) -> Registry:
    """The registry of the test's home."""
    return Registry(engine, settings.blobs)


def _publish(registry: Registry, folder: Path) -> str:
    card = bundle.Card.model_validate(bundle.read_card(folder))
    evaluation = Evaluation(
        dataset="starter",
        psi=1.0,
        measures={"fd": 50.0},
        served={"fd": 140.0, "size": 256.0},
        held_out={"fd": 51.0},
        failures="Hair frays.",
    )
    measures = {"fd": 60.0, "served_fd": 149.0}
    update = {"evaluation": evaluation, "measures": measures}
    bundle_writer.write_card(folder, card.model_copy(update=update))
    return registry.add(folder)


def test_measures_of_the_served_size_are_dropped(
    registry: Registry, write_bundle: Callable[..., Path]
) -> None:
    registry.import_folder(write_bundle())  # serves, so that nothing that follows does
    old = _publish(registry, write_bundle(seed=1))
    torch.manual_seed(0)
    enlarger = bundle_writer.Enlarger(Enlarger(4, 8, 1, 1), CARD)
    new = bundle_writer.with_enlarger(registry, old, enlarger)
    card = bundle.Card.model_validate(bundle.read_card(registry.folder(new)))
    before = bundle.Card.model_validate(bundle.read_card(registry.folder(old)))
    assert card.enlarger == CARD
    assert card.measures == {"fd": 60.0}
    assert card.evaluation is not None
    assert card.evaluation.measures == {"fd": 50.0}
    assert (card.evaluation.served, card.evaluation.held_out) == ({}, {})
    assert card.evaluation.failures == "Hair frays."
    assert card.network == before.network
    assert registry.resolve("latest") != new
    for name in {path.name for path in registry.folder(old).iterdir()} - {bundle.CARD}:
        one, other = registry.folder(old) / name, registry.folder(new) / name
        assert one.read_bytes() == other.read_bytes()


def test_another_versions_enlarger_is_copied(
    registry: Registry, write_bundle: Callable[..., Path]
) -> None:
    registry.import_folder(write_bundle())
    old = _publish(registry, write_bundle(seed=1))
    donor = registry.add(add_enlarger(write_bundle(seed=2), registry.bundles / "donor"))
    new = bundle_writer.with_enlarger_of(registry, old, donor)
    graphs = [(registry.folder(each) / bundle.ENLARGER).read_bytes() for each in (donor, new)]
    assert graphs[0] == graphs[1]
    weights = [(registry.folder(each) / bundle.WEIGHTS).read_bytes() for each in (old, new)]
    assert weights[0] == weights[1]
    with pytest.raises(KaoError, match="has no enlarger"):
        bundle_writer.with_enlarger_of(registry, donor, old)


def test_an_enlarger_for_another_resolution_is_refused(
    registry: Registry, write_bundle: Callable[..., Path]
) -> None:
    old = registry.import_folder(write_bundle())
    other = write_bundle(resolution=32)
    donor = registry.add(add_enlarger(other, registry.bundles / "donor"))
    with pytest.raises(BadBundle):
        bundle_writer.with_enlarger_of(registry, old, donor)
