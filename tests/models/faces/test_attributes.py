"""A latent chooses attributes as often as the dataset has them."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from models.errors import InvalidRecipe
from models.faces.attributes import FAR, Attribute, from_labels, select
from models.networks import modern
from models.recipes.recipe import resolve

HAIR = Attribute(name="hair", values=["red", "green", "blue"], shares=[0.2, 0.5, 0.3])
GLASSES = Attribute(name="glasses", values=["no", "yes"], shares=[0.9, 0.1])
LABELS = {
    "hair": {"values": ["red", "green", "blue"], "codes": [1, 0, 1, 2, 1]},
    "hat": {"values": ["no", "yes"], "codes": [0, 0, 0, 0, 0]},
}


def picked(mapping, z):
    hot = mapping.labels(torch.from_numpy(z))
    return hot[:, :3].argmax(1).numpy(), hot[:, 3:].argmax(1).numpy(), hot


def test_values_are_as_frequent_as_in_the_set() -> None:
    mapping = modern.Mapping(4, 8, [HAIR, GLASSES])
    z = np.random.default_rng(0).standard_normal((50_000, 6)).astype(np.float32)
    hair, glasses, hot = picked(mapping, z)
    assert (hot.sum(1) == 2).all(), "one value of each attribute"
    assert np.bincount(hair) / 50_000 == pytest.approx(HAIR.shares, abs=0.01)
    assert np.bincount(glasses) / 50_000 == pytest.approx(GLASSES.shares, abs=0.01)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_value_asked_for_is_the_value_chosen(place) -> None:
    mapping = modern.Mapping(4, 8, [HAIR, GLASSES])
    z = np.zeros((1, 6), np.float32)
    z[0, 4] = HAIR.normal(HAIR.values[place])
    assert picked(mapping, z)[0][0] == place


def test_the_free_latent_is_normalised_alone() -> None:
    mapping = modern.Mapping(4, 8, [HAIR, GLASSES]).eval()
    z = torch.randn(3, 6)
    longer = z.clone()
    longer[:, :4] *= 7
    assert torch.allclose(mapping(z), mapping(longer), atol=1e-5)


def test_intervals_cover_the_line() -> None:
    intervals = HAIR.intervals()
    assert (intervals[0][0], intervals[-1][1]) == (-FAR, FAR)
    assert all(left[1] == right[0] for left, right in pairwise(intervals))


def test_frequencies_come_from_the_labels() -> None:
    hair, hat = from_labels(LABELS, ["hair", "hat"])
    assert hair.shares == [0.2, 0.6, 0.2]
    assert hat.shares == [1.0, 0.0]
    # A value that no image has is never chosen.
    assert picked_alone(hat, -9.0) == picked_alone(hat, 8.2) == 0


def picked_alone(attribute, normal):
    z = torch.tensor([[0.0, 0.0, normal]])
    return modern.Mapping(2, 4, [attribute]).labels(z).argmax().item()


def test_asking_moves_one_number_alone() -> None:
    z = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)
    asked = select(z, [HAIR, GLASSES], {"glasses": "yes", "hat": "no"})
    assert np.array_equal(asked[:, :5], z[:, :5])
    assert set(picked(modern.Mapping(4, 8, [HAIR, GLASSES]), asked)[1]) == {1}
    assert not np.array_equal(asked, z), "what was given stays"


def test_a_value_that_no_image_has_cannot_be_asked_for() -> None:
    _, hat = from_labels(LABELS, ["hair", "hat"])
    assert hat.available == ["no"]
    assert HAIR.available == HAIR.values


@pytest.mark.parametrize("name", ["seed", "size", "signature", "d"])
def test_no_attribute_is_called_like_a_parameter(name) -> None:
    with pytest.raises(ValidationError, match="is a parameter of pictures"):
        Attribute(name=name, values=["a"], shares=[1])
    with pytest.raises(InvalidRecipe, match="is a parameter of pictures"):
        resolve({"preset": "smoke", "labels": [name]})


@pytest.mark.parametrize("name", ["", "Hair", "hair colour", "2nd", "x" * 65, "a&b"])
def test_a_name_stands_in_an_address_as_it_is(name) -> None:
    with pytest.raises(ValidationError):
        Attribute(name=name, values=["a"], shares=[1])


@pytest.mark.parametrize(
    ("values", "shares"), [(["a", "b"], [1]), (["a", "a"], [0.5, 0.5]), ([], [])], ids=len
)
def test_each_value_stands_once_with_its_share(values, shares) -> None:
    with pytest.raises(ValidationError):
        Attribute(name="hair", values=values, shares=shares)


def test_an_unknown_attribute_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        from_labels(LABELS, ["beard"])
