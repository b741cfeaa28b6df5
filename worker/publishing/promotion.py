"""What a written bundle measures at the served size, and whether it should become the default."""

from pathlib import Path

from models.bundle.format import Card, read_card
from models.bundle.generator import Drawer
from models.registry import DEFAULT, Registry
from worker.evaluation.served_size import ServedSize
from worker.publishing import bundle_writer


def add_measures(folder: Path, real: ServedSize, threads: int) -> None:
    """Add the measures at the served size to the card in `folder`, as `served_fd` and so on."""
    drawer = _drawer(folder, threads)
    served = {f"served_{name}": value for name, value in real.measure(drawer).items()}
    measures = {**drawer.card.measures, **served}
    bundle_writer.write_card(folder, drawer.card.model_copy(update={"measures": measures}))


def is_better_than_default(
    folder: Path, registry: Registry, fingerprint: str, real: ServedSize, threads: int
) -> bool:
    """Whether the model in `folder` beats the default beyond noise at the served size.

    Both draw anew for this comparison. True without a default; False where the default was trained
    on a set with another fingerprint, since neither model is then better at both sets.
    Raises BadBundle where the default cannot be loaded.
    """
    version = registry.aliases().get(DEFAULT)
    if version is None:
        return True
    if registry.get(version)["card"]["dataset"]["fingerprint"] != fingerprint:
        return False
    return real.is_better(_drawer(folder, threads), registry.load(version, threads))


def _drawer(folder: Path, threads: int) -> Drawer:
    return Drawer(folder, Card.model_validate(read_card(folder)), threads)
