"""A card from elsewhere whose content no page or header could show is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models import bundle, registry
from models.bundle import foreign_card
from models.errors import BadBundle

CARDS = sorted(registry.SHIPPED.glob("*/card.json"))
EVALUATED_CARDS = [path for path in CARDS if "evaluation" in json.loads(path.read_text())]
Change = Callable[[dict[str, Any]], None]


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.parent.name[:12])
def test_every_shipped_card_passes(path: Path) -> None:
    foreign_card.check(path.parent)


@pytest.mark.parametrize(
    "change",
    [
        # Every face has a Last-Modified header from it.
        pytest.param(lambda card: card.update(created="yesterday"), id="created-no-time"),
        pytest.param(lambda card: card.update(created=""), id="created-empty"),
        pytest.param(
            lambda card: card.update(created="0001-01-01T00:00:00+14:00"), id="created-year-0"
        ),
        pytest.param(lambda card: card["measures"].update(fd="INFINITE"), id="infinite-measure"),
        pytest.param(
            lambda card: card.update(other=[{"a": "INFINITE"}]), id="infinite-other-field"
        ),
        pytest.param(
            lambda card: card["training"].update(seconds="INFINITE"), id="endless-training"
        ),
        pytest.param(lambda card: card["training"].update(images=10**400), id="long-number"),
        pytest.param(lambda card: card["training"].update(images=10**5000), id="longest-number"),
        pytest.param(lambda card: card["training"].update(images=-1), id="negative"),
        pytest.param(lambda card: card["evaluation"].update(measures={}), id="no-measures"),
        pytest.param(lambda card: card["evaluation"].update(psi="INFINITE"), id="infinite-psi"),
        pytest.param(
            lambda card: card["evaluation"]["measures"].update(fd=[1, 2]), id="two-values"
        ),
        pytest.param(lambda card: card["evaluation"].update(served={"fd": 1}), id="served-no-size"),
        pytest.param(lambda card: card["evaluation"].update(held_out={"fd": 1}), id="held-out"),
        pytest.param(
            lambda card: card["evaluation"].update(backgrounds={"a": 1}), id="backgrounds"
        ),
        # Alternative text of every face reads them.
        pytest.param(lambda card: card["evaluation"].update(traits=[{}]), id="trait-without-name"),
        pytest.param(
            lambda card: card["evaluation"]["traits"][0].update(shown="no"), id="trait-no-share"
        ),
        pytest.param(
            lambda card: card["evaluation"]["traits"][0].update(shown="0.9"), id="share-as-text"
        ),
        # Pages format the JSON's own values.
        pytest.param(lambda card: card["dataset"].update(images="5000"), id="number-as-text"),
        pytest.param(lambda card: card["recipe"].pop("preset"), id="no-preset"),
        pytest.param(lambda card: card.update(other="NESTED"), id="nested"),
    ],
)
def test_a_card_that_cannot_be_shown_is_refused(tmp_path: Path, change: Change) -> None:
    card = json.loads(EVALUATED_CARDS[0].read_text())
    change(card)
    text = json.dumps(card) if card["training"]["images"] < 10**4000 else _longest_number(card)
    text = text.replace('"INFINITE"', "1e999").replace('"NESTED"', "[" * 100_000 + "]" * 100_000)
    (tmp_path / bundle.CARD).write_text(text)
    with pytest.raises(BadBundle):
        foreign_card.check(tmp_path)


def _longest_number(card: dict[str, Any]) -> str:
    """JSON with a number of more digits than Python converts."""
    card["training"]["images"] = 123456789
    return json.dumps(card).replace("123456789", "1" * 5000)
