"""A slider is result where a generator has one, and says what was measured of it."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models.bundle.format import Card, Network
from models.bundle.generator import Drawer, Floats, Pixels
from models.faces.sliders import steer
from models.networks import modern
from worker.publishing import slider_search

SIDE, STYLE = 16, 8


class Painter:
    """A drawer whose w says what is drawn: w₀ the light, w₁ red against blue, w₂ a place."""

    rows = 2

    def __init__(self, obey: bool = True) -> None:
        self.obey = obey
        fields: dict[str, Any] = {
            "network": Network(resolution=SIDE, latent=STYLE, style=STYLE, layers=2)
        }
        self.card = Card.model_construct(**fields)

    def styles(self, z: Floats) -> Floats:
        return z

    def synthesise(self, w: Floats) -> Pixels:
        w = w[:, 0].astype(float)
        light = np.tanh(w[:, 0] / 3) if self.obey else np.sin(40 * w[:, 0])
        images = np.full((len(w), SIDE, SIDE, 3), 0.5) + 0.2 * light[:, None, None, None]
        images[..., 0] += 0.1 * np.tanh(w[:, 1] / 3)[:, None, None]
        images[..., 2] -= 0.1 * np.tanh(w[:, 1] / 3)[:, None, None]
        row = np.clip(8 + 2 * w[:, 2], 0, SIDE - 1).astype(int)
        for image, place in zip(images, row, strict=True):
            image[place:] *= 0.8
        return (images.clip(0, 1) * 255).round().astype(np.uint8)


def _drawer(obey: bool = True) -> Drawer:
    painter: Any = Painter(obey)
    drawer: Drawer = painter
    return drawer


@pytest.fixture
def network() -> modern.Generator:
    torch.manual_seed(0)
    return modern.Generator(SIDE, STYLE, STYLE, 8)


def test_light_and_warmth_are_found_where_they_lie(network: nn.Module) -> None:
    result = slider_search.find(network, _drawer())
    for name, axis in (("brightness", 0), ("warmth", 1)):
        direction = result.vectors[name]
        assert abs(direction[axis]) > 0.9 * np.linalg.norm(direction), name
        assert direction[axis] > 0
    sliders = {slider.name: slider for slider in result.sliders}
    assert sliders["brightness"].effect > 1.5
    assert sliders["brightness"].obeyed > 0.95
    assert result.vectors.keys() == sliders.keys()


def test_a_direction_that_faces_do_not_follow_is_not_offered(network: nn.Module) -> None:
    names = {slider.name for slider in slider_search.find(network, _drawer(obey=False)).sliders}
    assert "brightness" not in names
    assert "warmth" in names


def test_a_name_that_an_attribute_has_is_left_to_it(network: nn.Module) -> None:
    names = {slider.name for slider in slider_search.find(network, _drawer(), ["warmth"]).sliders}
    assert "warmth" not in names
    assert "brightness" in names


def test_shapes_differ_and_are_described_by_their_place(network: nn.Module) -> None:
    result = slider_search.find(network, _drawer())
    shapes = [slider for slider in result.sliders if slider.name.startswith("shape_")]
    for slider in shapes:
        assert "shape" in slider.changes
    unit = {name: vector / np.linalg.norm(vector) for name, vector in result.vectors.items()}
    for slider in shapes:
        other_vectors = [unit[name] for name in unit if name != slider.name]
        assert max(abs(unit[slider.name] @ other) for other in other_vectors) < slider_search.ALIKE


def test_the_same_generator_has_the_same_sliders(network: nn.Module) -> None:
    one, other = (slider_search.find(network, _drawer()) for _ in range(2))
    assert one.sliders == other.sliders
    assert all(np.array_equal(one.vectors[name], other.vectors[name]) for name in one.vectors)


@pytest.mark.parametrize("network", [nn.Identity(), modern.Generator(SIDE, STYLE, 0, 8)])
def test_a_network_without_styles_has_none(network: nn.Module) -> None:
    assert slider_search.find(network, _drawer()) == slider_search.SearchResult([], {})


def test_no_slider_changes_no_bit() -> None:
    w = np.random.default_rng(0).standard_normal((3, STYLE)).astype(np.float32)
    assert steer(w, {}, {}) is w


def test_the_order_of_sliders_changes_no_bit() -> None:
    random = np.random.default_rng(0)
    w = random.standard_normal((3, STYLE)).astype(np.float32)
    vectors = {name: random.standard_normal(STYLE).astype(np.float32) for name in "abc"}
    one = steer(w, vectors, {"a": 0.3, "b": -1.0, "c": 0.7})
    other = steer(w, vectors, {"c": 0.7, "a": 0.3, "b": -1.0})
    assert np.array_equal(one, other)
