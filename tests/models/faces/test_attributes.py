"""A latent chooses attributes as often as the dataset has them."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from models.bundle.generator import Floats
from models.errors import InvalidRecipe
from models.faces.attributes import FAR, Attribute, from_labels, select
from models.networks import modern
from models.recipes.recipe import resolve

HAIR = Attribute(name="hair", values=["red", "green", "blue"], shares=[0.2, 0.5, 0.3])
GLASSES = Attribute(name="glasses", values=["no", "yes"], shares=[0.9, 0.1])
LABELS: dict[str, dict[str, list[Any]]] = {
    "hair": {"values": ["red", "green", "blue"], "codes": [1, 0, 1, 2, 1]},
    "hat": {"values": ["no", "yes"], "codes": [0, 0, 0, 0, 0]},
}


def selected_values(mapping: modern.Mapping, z: Floats) -> tuple[Any, Any, Any]:
    hot = mapping.labels(torch.from_numpy(z))
    return hot[:, :3].argmax(1).numpy(), hot[:, 3:].argmax(1).numpy(), hot


def test_values_are_as_frequent_as_in_the_set() -> None:
    mapping = modern.Mapping(4, 8, [HAIR, GLASSES])
    z = np.random.default_rng(0).standard_normal((50_000, 6)).astype(np.float32)
    hair, glasses, hot = selected_values(mapping, z)
    assert (hot.sum(1) == 2).all(), "one value of each attribute"
    assert np.bincount(hair) / 50_000 == pytest.approx(HAIR.shares, abs=0.01)
    assert np.bincount(glasses) / 50_000 == pytest.approx(GLASSES.shares, abs=0.01)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_selected_value_is_the_one_that_the_network_gets(place: int) -> None:
    mapping = modern.Mapping(4, 8, [HAIR, GLASSES])
    z = np.zeros((1, 6), np.float32)
    z[0, 4] = HAIR.normal(HAIR.values[place])
    assert selected_values(mapping, z)[0][0] == place


def test_the_free_latent_is_normalised_alone() -> None:
    mapping = modern.Mapping(4, 8, [HAIR, GLASSES]).eval()
    z = torch.randn(3, 6)
    scaled_z = z.clone()
    scaled_z[:, :4] *= 7
    assert torch.allclose(mapping(z), mapping(scaled_z), atol=1e-5)


def test_intervals_cover_the_line() -> None:
    intervals = HAIR.intervals()
    assert (intervals[0][0], intervals[-1][1]) == (-FAR, FAR)
    assert all(left[1] == right[0] for left, right in pairwise(intervals))


def test_frequencies_come_from_the_labels() -> None:
    hair, hat = from_labels(LABELS, ["hair", "hat"])
    assert hair.shares == [0.2, 0.6, 0.2]
    assert hat.shares == [1.0, 0.0]
    # A value that no image has is never chosen.
    assert select_one(hat, -9.0) == select_one(hat, 8.2) == 0


def select_one(attribute: Attribute, normal: float) -> int:
    z = torch.tensor([[0.0, 0.0, normal]])
    return int(modern.Mapping(2, 4, [attribute]).labels(z).argmax())


def test_selecting_changes_one_element_alone() -> None:
    z = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)
    changed_z = select(z, [HAIR, GLASSES], {"glasses": "yes", "hat": "no"})
    assert np.array_equal(changed_z[:, :5], z[:, :5])
    assert set(selected_values(modern.Mapping(4, 8, [HAIR, GLASSES]), changed_z)[1]) == {1}
    assert not np.array_equal(changed_z, z), "the argument is not changed"


def test_a_value_that_no_image_has_cannot_be_selected() -> None:
    _, hat = from_labels(LABELS, ["hair", "hat"])
    assert hat.available == ["no"]
    assert HAIR.available == HAIR.values


@pytest.mark.parametrize("name", ["seed", "size", "signature", "d"])
def test_no_attribute_is_called_like_a_parameter(name: str) -> None:
    with pytest.raises(ValidationError, match="is a parameter of pictures"):
        Attribute(name=name, values=["a"], shares=[1])
    with pytest.raises(InvalidRecipe, match="is a parameter of pictures"):
        resolve({"preset": "smoke", "labels": [name]})


@pytest.mark.parametrize("name", ["", "Hair", "hair colour", "2nd", "x" * 65, "a&b"])
def test_a_name_stands_in_an_address_as_it_is(name: str) -> None:
    with pytest.raises(ValidationError):
        Attribute(name=name, values=["a"], shares=[1])


@pytest.mark.parametrize(
    ("values", "shares"), [(["a", "b"], [1]), (["a", "a"], [0.5, 0.5]), ([], [])], ids=len
)
def test_each_value_stands_once_with_its_share(values: list[str], shares: list[float]) -> None:
    with pytest.raises(ValidationError):
        Attribute(name="hair", values=values, shares=shares)


def test_an_unknown_attribute_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        from_labels(LABELS, ["beard"])
