"""A bundle with an enlarger draws crisp faces, the same in any batch, or is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from models import bundle
from models.bundle import verify
from models.bundle.generator import Drawer
from models.errors import BadBundle
from models.faces import latents
from tests.support.enlargers import add_enlarger


@pytest.fixture
def plain(write_bundle: Callable[..., Path]) -> Path:
    """A bundle without an enlarger, 16 px."""
    return write_bundle()


def _verify(folder: Path) -> Drawer:
    return verify.verify(folder, bundle.digest(folder))


def _latents(drawer: Drawer, count: int) -> np.ndarray:
    length = drawer.card.network.latent
    return np.stack([latents.derive(str(seed), length) for seed in range(count)])


@pytest.mark.parametrize(
    ("scale", "size", "enlarged"),
    [
        pytest.param(4, 16, 16, id="native"),
        pytest.param(4, 10, 16, id="smaller"),
        pytest.param(4, 17, 17, id="a-little-larger"),
        pytest.param(4, 32, 32, id="half-by-area"),
        pytest.param(4, 64, 64, id="all-that-it-draws"),
        pytest.param(4, 100, 64, id="larger-than-it-draws"),
        pytest.param(2, 32, 32, id="twice"),
        pytest.param(2, 64, 32, id="larger-than-twice"),
    ],
)
def test_sizes_above_the_generators_come_from_the_enlarger(
    plain: Path, tmp_path: Path, scale: int, size: int, enlarged: int
) -> None:
    drawer = _verify(add_enlarger(plain, tmp_path / "b", scale))
    z = _latents(drawer, 2)
    pixels = drawer.enlarge(drawer.draw(z, 1.0), size)
    assert pixels.shape == (2, enlarged, enlarged, 3)
    assert drawer.draw_at(z, 1.0, size).shape == (2, size, size, 3)
    if size <= 16:
        np.testing.assert_array_equal(pixels, drawer.draw(z, 1.0))


def test_what_is_too_large_is_reduced(plain: Path, tmp_path: Path) -> None:
    drawer = _verify(add_enlarger(plain, tmp_path / "b"))
    native = drawer.draw(_latents(drawer, 1), 1.0)
    (largest,) = drawer.enlarge(native, 64)
    (half,), (other,) = drawer.enlarge(native, 32), drawer.enlarge(native, 40)
    area = largest.reshape(32, 2, 32, 2, 3).astype(float).mean((1, 3))
    assert np.abs(half - area).max() <= 1
    lanczos = Image.fromarray(largest).resize((40, 40), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(other, np.asarray(lanczos))


def test_a_bundle_without_one_is_left_as_it_is(plain: Path) -> None:
    drawer = _verify(plain)
    native = drawer.draw(_latents(drawer, 2), 1.0)
    assert drawer.enlarge(native, 256) is native


@pytest.mark.parametrize("size", [32, 64])
def test_enlarged_pixels_do_not_depend_on_the_batch(plain: Path, tmp_path: Path, size: int) -> None:
    drawer = _verify(add_enlarger(plain, tmp_path / "b"))
    together = drawer.draw_at(_latents(drawer, 32), 1.0, size)
    for count in (1, 2, 8):
        np.testing.assert_array_equal(
            drawer.draw_at(_latents(drawer, count), 1.0, size), together[:count]
        )


def test_its_graph_needs_few_kinds_of_nodes(plain: Path, tmp_path: Path) -> None:
    graph = onnx.load(add_enlarger(plain, tmp_path / "b") / bundle.ENLARGER).graph
    network = {"Conv", "LeakyRelu", "Add", "DepthToSpace", "Resize"}
    pixels = {"Transpose", "Cast", "Div", "Sub", "Mul", "Clip", "Round", "Constant", "Concat"}
    assert {node.op_type for node in graph.node} == network | pixels


def _set_weights(folder: Path, value: float) -> None:
    model = onnx.load(folder / bundle.ENLARGER)
    for tensor in model.graph.initializer:
        weights = onnx.numpy_helper.to_array(tensor)
        if weights.dtype == np.float32 and weights.ndim == 4:
            new_weights = np.full_like(weights, value)
            tensor.CopyFrom(onnx.numpy_helper.from_array(new_weights, tensor.name))
    onnx.save(model, folder / bundle.ENLARGER)


def _remove_from_card(folder: Path) -> None:
    card = json.loads((folder / bundle.CARD).read_text())
    del card["enlarger"]
    (folder / bundle.CARD).write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        pytest.param(lambda f: _set_weights(f, np.nan), "something else", id="nan"),
        pytest.param(lambda f: _set_weights(f, np.inf), "something else", id="infinite"),
        pytest.param(lambda f: _set_weights(f, 1e3), "something else", id="no-face"),
        pytest.param(lambda f: (f / bundle.ENLARGER).unlink(), "differ about", id="missing"),
        pytest.param(_remove_from_card, "differ about", id="not-on-the-card"),
        pytest.param(
            lambda f: (f / bundle.ENLARGER).write_bytes(b"no"), "cannot be read", id="no-graph"
        ),
    ],
)
def test_a_bad_enlarger_is_refused(
    plain: Path, tmp_path: Path, damage: Callable[[Path], object], reason: str
) -> None:
    folder = add_enlarger(plain, tmp_path / "b")
    _verify(folder)
    damage(folder)
    with pytest.raises(BadBundle, match=reason):
        _verify(folder)


def test_one_whose_card_names_another_scale_is_refused(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(BadBundle, match="its card says 32"):
        _verify(add_enlarger(plain, tmp_path / "b", card_scale=2))
