"""The README of a model says what its card says, and no text of a card becomes markup."""

from pathlib import Path

import pytest
import yaml

from models.bundle.format import Card
from models.bundle.readme import readme
from models.registry import SHIPPED

VERSIONS = sorted(folder.name for folder in SHIPPED.iterdir())


def card_of(version: str) -> Card:
    """The card of a model that comes with Kao."""
    return Card.model_validate_json((SHIPPED / version / "card.json").read_text())


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version[:8])
def test_the_readme_has_the_card(version: str) -> None:
    card = card_of(version)
    _, header, page = readme(card, version, "ada/faces").split("---\n", 2)
    assert yaml.safe_load(header) == {
        "license": "cc0-1.0",
        "library_name": "kao",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["avatar", "gan", "onnx", "safetensors"],
    }
    for text in (version, card.dataset.fingerprint, "kao models pull ada/faces"):
        assert text in page
    for attribute in card.traits:
        assert all(value in page for value in attribute.available)
    if card.evaluation is not None:
        assert f"{card.evaluation.measures['fd']:.4g}" in page


def test_another_licence_is_named() -> None:
    card = card_of(VERSIONS[0])
    dataset = card.dataset.model_copy(update={"licence": 'Ours: "no sale"', "credit": "<b>|[x](y)"})
    page = readme(card.model_copy(update={"dataset": dataset}), VERSIONS[0], "ada/faces")
    _, header, body = page.split("---\n", 2)
    names = yaml.safe_load(header)
    assert (names["license"], names["license_name"]) == ("other", 'Ours: "no sale"')
    assert r"\<b\>\|\[x\](y)" in body


def test_a_model_without_evaluation_has_no_measures() -> None:
    card = card_of(VERSIONS[0]).model_copy(update={"evaluation": None, "attributes": []})
    assert "## Measures" not in readme(card, VERSIONS[0], "ada/faces")


def test_the_samples_that_it_shows_are_there() -> None:
    assert "(samples.png)" in readme(card_of(VERSIONS[0]), VERSIONS[0], "ada/faces")
    assert all(Path(SHIPPED / version / "samples.png").exists() for version in VERSIONS)
