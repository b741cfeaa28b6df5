"""Measures a written bundle at the served size, and compares it with the default."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from models.bundle.format import Card, read_card
from models.bundle.generator import Drawer
from models.registry import DEFAULT, Registry
from worker.datasets.packing import PackedDataset
from worker.evaluation.served_size import Measures, ServedSize, is_lower
from worker.publishing import bundle_writer


def add_measures(folder: Path, real: ServedSize, threads: int) -> Measures:
    """Measure the model in `folder` and add that to its card, as `served_fd` and so on."""
    drawer = Drawer(folder, Card.model_validate(read_card(folder)), threads)
    served_measures = real.measure(drawer)
    measures = {
        **drawer.card.measures,
        **{f"served_{name}": value for name, value in served_measures.items()},
    }
    bundle_writer.write_card(folder, drawer.card.model_copy(update={"measures": measures}))
    return served_measures


def is_better_than_default(
    measures: Measures,
    registry: Registry,
    dataset: PackedDataset,
    pack: Callable[[int], PackedDataset],
    real: ServedSize,
    threads: int,
) -> bool:
    """Whether a model with these measures beats the default beyond noise at the served size.

    dataset: that the model was trained on; pack: packs it at another side in pixels. The default
    draws anew for this comparison. True without a default; False where it was trained on another
    set, since neither model is then better at both sets. Raises what `pack` raises, and BadBundle
    where the default cannot be loaded.
    """
    version = registry.aliases().get(DEFAULT)
    if version is None:
        return True
    if not _was_trained_on(registry.get(version)["card"], dataset, pack):
        return False
    return is_lower(measures, real.measure(registry.load(version, threads)))


def _was_trained_on(
    card: Mapping[str, Any], dataset: PackedDataset, pack: Callable[[int], PackedDataset]
) -> bool:
    """Whether a model was trained on this set, at whichever resolution."""
    if card["dataset"]["images"] != dataset.count:
        return False  # known without packing anything
    # A fingerprint is of the packed pixels, so that at each resolution the set has another.
    side = card["network"]["resolution"]
    at_side = dataset if side == dataset.size else pack(side)
    return bool(card["dataset"]["fingerprint"] == at_side.fingerprint)
