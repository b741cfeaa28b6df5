"""Verification: a bundle is whole, finite and draws before it may serve."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from models.bundle.format import (
    CRITIC,
    FILES,
    GROWTH,
    MAPPING,
    REQUIRED,
    TRAITS,
    WEIGHTS,
    Card,
    check_digest,
    read_card,
)
from models.bundle.generator import Drawer
from models.errors import BadBundle


def verify(folder: Path, version: str, threads: int = 1) -> Drawer:
    """A bundle that may serve: whole, finite, and just seen to draw. Raises BadBundle."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if not names >= REQUIRED or not names <= FILES:
        raise BadBundle(f"Bundle {version[:12]} lacks files, or has some that do not belong to it.")
    check_digest(folder, version)
    card = Card.model_validate(read_card(folder))
    if card.network.layers and MAPPING not in names:
        raise BadBundle(f"Bundle {version[:12]} lacks its {MAPPING}.")
    for name, said in ((TRAITS, card.sliders), (GROWTH, card.moments)):
        if bool(said) != (name in names):
            raise BadBundle(f"Bundle {version[:12]} and its card differ about {name}.")
    _check_finite(folder / WEIGHTS, version)
    if card.sliders:
        _check_finite(folder / TRAITS, version)
    z = np.full((1, card.network.latent), 0.5, np.float32)
    try:
        drawer = Drawer(folder, card, threads)
        drawn = drawer.draw(z, 1.0)
        young = drawer.grow(z, 1.0, 0.5) if card.moments else drawn
        drawer.steer(drawer.styles(z), dict.fromkeys((each.name for each in card.sliders), 1.0))
        scores = drawer.score(drawn) if CRITIC in names else np.zeros(1, np.float32)
        drawer.rest()
    except Exception as error:  # ONNX Runtime raises its own, undocumented kinds
        raise BadBundle(f"Bundle {version[:12]} does not draw: {type(error).__name__}.") from error
    side = card.network.resolution
    for pixels in (drawn, young):
        if pixels.shape != (1, side, side, 3) or pixels.dtype != np.uint8:
            told = f"draws {pixels.shape}; its card says {side}×{side}."
            raise BadBundle(f"Bundle {version[:12]} {told}")
    if scores.shape != (1,) or not np.isfinite(scores).all():
        raise BadBundle(f"Bundle {version[:12]} has a critic that gives no number for a face.")
    return drawer


def _check_finite(path: Path, version: str) -> None:
    try:
        with safe_open(path, framework="np") as tensors:
            finite = all(
                np.isfinite(tensors.get_tensor(name)).all() for name in list(tensors.keys())
            )
    except (SafetensorError, OSError) as error:
        raise BadBundle(f"Bundle {version[:12]}: its weights cannot be read.") from error
    if not finite:
        raise BadBundle(f"Bundle {version[:12]} has weights that are not finite.")
