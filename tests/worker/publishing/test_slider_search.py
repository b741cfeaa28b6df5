"""A slider is found where a generator has one, and says what was measured of it."""

import numpy as np
import pytest
import torch
from torch import nn

from models.bundle.format import Card, Network
from models.faces import sliders as kept
from models.networks import modern
from worker.publishing import slider_search

SIDE, STYLE = 16, 8


class Painter:
    """A drawer whose w says what is drawn: w₀ the light, w₁ red against blue, w₂ a place."""

    rows = 2

    def __init__(self, obey=True) -> None:
        self.obey = obey
        self.card = Card.model_construct(
            network=Network(resolution=SIDE, latent=STYLE, style=STYLE, layers=2)
        )

    def styles(self, z):
        return z

    def synthesise(self, w):
        w = w[:, 0].astype(float)
        light = np.tanh(w[:, 0] / 3) if self.obey else np.sin(40 * w[:, 0])
        images = np.full((len(w), SIDE, SIDE, 3), 0.5) + 0.2 * light[:, None, None, None]
        images[..., 0] += 0.1 * np.tanh(w[:, 1] / 3)[:, None, None]
        images[..., 2] -= 0.1 * np.tanh(w[:, 1] / 3)[:, None, None]
        row = np.clip(8 + 2 * w[:, 2], 0, SIDE - 1).astype(int)
        for image, place in zip(images, row, strict=True):
            image[place:] *= 0.8
        return (images.clip(0, 1) * 255).round().astype(np.uint8)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return modern.Generator(SIDE, STYLE, STYLE, 8)


def test_light_and_warmth_are_found_where_they_are(network) -> None:
    found = slider_search.find(network, Painter())
    for name, axis in (("brightness", 0), ("warmth", 1)):
        direction = found.vectors[name]
        assert abs(direction[axis]) > 0.9 * np.linalg.norm(direction), name
        assert direction[axis] > 0
    told = {slider.name: slider for slider in found.sliders}
    assert told["brightness"].effect > 1.5
    assert told["brightness"].obeyed > 0.95
    assert found.vectors.keys() == told.keys()


def test_what_is_not_obeyed_is_not_offered(network) -> None:
    names = {slider.name for slider in slider_search.find(network, Painter(obey=False)).sliders}
    assert "brightness" not in names
    assert "warmth" in names


def test_a_name_that_an_attribute_has_is_left_to_it(network) -> None:
    names = {slider.name for slider in slider_search.find(network, Painter(), ["warmth"]).sliders}
    assert "warmth" not in names
    assert "brightness" in names


def test_shapes_are_told_apart_and_described_by_their_place(network) -> None:
    found = slider_search.find(network, Painter())
    shapes = [slider for slider in found.sliders if slider.name.startswith("shape_")]
    for slider in shapes:
        assert "shape" in slider.changes
    unit = {name: vector / np.linalg.norm(vector) for name, vector in found.vectors.items()}
    for slider in shapes:
        others = [unit[name] for name in unit if name != slider.name]
        assert max(abs(unit[slider.name] @ other) for other in others) < slider_search.ALIKE


def test_the_same_generator_has_the_same_sliders(network) -> None:
    one, other = (slider_search.find(network, Painter()) for _ in range(2))
    assert one.sliders == other.sliders
    assert all(np.array_equal(one.vectors[name], other.vectors[name]) for name in one.vectors)


@pytest.mark.parametrize("network", [nn.Identity(), modern.Generator(SIDE, STYLE, 0, 8)])
def test_a_network_without_styles_has_none(network) -> None:
    assert slider_search.find(network, Painter()) == slider_search.Found([], {})


def test_nothing_asked_changes_no_bit() -> None:
    w = np.random.default_rng(0).standard_normal((3, STYLE)).astype(np.float32)
    assert kept.steer(w, {}, {}) is w


def test_the_order_of_asking_changes_no_bit() -> None:
    random = np.random.default_rng(0)
    w = random.standard_normal((3, STYLE)).astype(np.float32)
    vectors = {name: random.standard_normal(STYLE).astype(np.float32) for name in "abc"}
    one = kept.steer(w, vectors, {"a": 0.3, "b": -1.0, "c": 0.7})
    other = kept.steer(w, vectors, {"c": 0.7, "a": 0.3, "b": -1.0})
    assert np.array_equal(one, other)
