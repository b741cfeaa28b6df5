"""Pixels and the networks' range: every byte survives, and nothing overflows."""

import torch

from models.faces.pixels import to_network, to_pixels


def test_every_byte_survives_the_way_there_and_back() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).repeat(3).reshape(1, 16, 16, 3)
    images = to_network(pixels)
    assert images.shape == (1, 3, 16, 16)
    assert images.dtype == torch.float32
    assert (images.min().item(), images.max().item()) == (-1, 1)
    assert torch.equal(to_pixels(images), pixels)


def test_values_beyond_the_range_are_clipped_and_halves_round_to_even() -> None:
    images = torch.tensor([-9.0, -1.0, 0.0, 1.0, 9.0]).reshape(1, 1, 1, 5)
    assert to_pixels(images).flatten().tolist() == [0, 0, 128, 255, 255]
