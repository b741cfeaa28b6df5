"""Hidden attributes condition the generator, and a nested one fits the value of its parent."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from models.faces.attributes import Attribute, from_labels, select
from models.networks import modern

# Three long and two short hairs; the mouth is independent of the length.
LABELS: dict[str, dict[str, list[Any]]] = {
    "length": {"values": ["long", "short"], "codes": [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]},
    "hair": {"values": ["a", "b", "c", "d", "e"], "codes": [0, 0, 1, 2, 3, 4, 4, 4, 4, 4]},
    "mouth": {"values": ["smile", "frown"], "codes": [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]},
}
NESTED = from_labels(LABELS, ["length"], ["hair", "mouth"])
PARENT_CODES = np.array([0, 0, 0, 1, 1])


def chosen(z: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(N, attributes): which value of each attribute a mapping of two free numbers sees."""
    hot = modern.Mapping(2, 4, NESTED).labels(torch.from_numpy(z)).numpy()
    parts = np.split(hot, [2, 7], axis=1)
    assert all((part.sum(1) == 1).all() for part in parts), "one value of each attribute"
    return np.stack([part.argmax(1) for part in parts], axis=1)


def test_what_a_label_refines_is_found_in_the_set() -> None:
    length, hair, mouth = NESTED
    assert (length.parent, length.hidden) == (None, False)
    assert (hair.parent, hair.hidden, hair.parent_codes) == ("length", True, [0, 0, 0, 1, 1])
    assert (mouth.parent, mouth.hidden, mouth.parent_codes) == (None, True, [])


def test_a_seed_has_values_that_fit_each_other_as_often_as_the_set() -> None:
    z = np.random.default_rng(0).standard_normal((50_000, 5)).astype(np.float32)
    length, hair, mouth = chosen(z).T
    assert (PARENT_CODES[hair] == length).all()
    assert np.bincount(hair) / 50_000 == pytest.approx([0.2, 0.1, 0.1, 0.1, 0.5], abs=0.01)
    assert np.bincount(mouth) / 50_000 == pytest.approx([0.5, 0.5], abs=0.01)


@pytest.mark.parametrize("value", ["long", "short"])
def test_a_selected_parent_keeps_the_choice_among_its_values(value: str) -> None:
    z = np.random.default_rng(0).standard_normal((1_000, 5)).astype(np.float32)
    length, hair, _ = chosen(select(z, NESTED, {"length": value})).T
    assert (PARENT_CODES[hair] == length).all()
    assert set(hair) == ({0, 1, 2} if value == "long" else {3, 4})


def test_sampled_numbers_select_the_rows_of_the_set() -> None:
    codes = np.array([LABELS[attribute.name]["codes"] for attribute in NESTED])
    uniform = np.random.default_rng(0).random(codes.shape)
    numbers = [
        attribute.sample(row, quantiles)
        for attribute, row, quantiles in zip(NESTED, codes, uniform, strict=True)
    ]
    z = np.concatenate([np.zeros((10, 2), np.float32), np.stack(numbers, axis=1)], axis=1)
    assert np.array_equal(chosen(z), codes.T)


def test_a_parents_value_that_no_image_has_is_never_chosen() -> None:
    labels = {**LABELS, "length": {**LABELS["length"], "values": ["long", "short", "shaved"]}}
    labels["hair"] = {**LABELS["hair"], "values": [*"abcde", "none"]}
    length, hair = from_labels(labels, ["length"], ["hair"])
    z = np.random.default_rng(0).standard_normal((1_000, 4)).astype(np.float32)
    hot = modern.Mapping(2, 4, [length, hair]).labels(torch.from_numpy(z))
    assert hot.sum(1).tolist() == [2.0] * 1_000
    assert not hot[:, [2, 8]].any()


def test_a_card_without_hidden_attributes_stays_as_it_was() -> None:
    plain = Attribute(name="hat", values=["no", "yes"], shares=[0.5, 0.5])
    assert set(plain.model_dump()) == {"name", "values", "shares"}
    assert [Attribute.model_validate(each.model_dump()) for each in NESTED] == NESTED


@pytest.mark.parametrize(
    "fields",
    [
        {"parent": "length", "hidden": True, "parent_codes": [0]},
        {"parent": "length", "parent_codes": [0, 1]},
        {"hidden": True, "parent_codes": [0, 1]},
    ],
    ids=["too few codes", "nested but not hidden", "codes without a parent"],
)
def test_a_nested_attribute_names_a_parents_value_for_each_of_its_own(
    fields: dict[str, Any],
) -> None:
    with pytest.raises(ValidationError):
        Attribute(name="hair", values=["a", "b"], shares=[0.5, 0.5], **fields)
