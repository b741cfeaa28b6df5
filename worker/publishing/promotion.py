"""Measures a written bundle at the served size, and compares it with the default."""

from pathlib import Path

from models.bundle.format import Card, read_card
from models.bundle.generator import Drawer
from models.registry import DEFAULT, Registry
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
    measures: Measures, registry: Registry, fingerprint: str, real: ServedSize, threads: int
) -> bool:
    """Whether a model with these measures beats the default beyond noise at the served size.

    The default draws anew for this comparison. True without a default; False where it was trained
    on a set with another fingerprint, since neither model is then better at both sets.
    Raises BadBundle where the default cannot be loaded.
    """
    version = registry.aliases().get(DEFAULT)
    if version is None:
        return True
    if registry.get(version)["card"]["dataset"]["fingerprint"] != fingerprint:
        return False
    return is_lower(measures, real.measure(registry.load(version, threads)))
