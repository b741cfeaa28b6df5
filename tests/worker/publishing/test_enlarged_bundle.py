"""A published model that gets an enlarger keeps its generator, and no measure of other faces."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
import torch

from models import bundle
from models.bundle.format import Enlargement, Evaluation
from models.networks.enlarger import Enlarger
from models.registry import Registry
from models.settings import Settings
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
    made = bundle_writer.Enlarger(Enlarger(4, 8, 1, 1), CARD)
    new = bundle_writer.with_enlarger(registry, old, made)
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
