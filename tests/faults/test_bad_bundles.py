"""A bundle that is not what it should be never serves, and readiness and metrics say so."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models import bundle
from models.registry import DEFAULT
from tests.support.fixtures import WriteBundle
from tests.support.process_group import House

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def truncate(folder: Path) -> None:
    file = folder / bundle.WEIGHTS
    file.write_bytes(file.read_bytes()[:-1000])


def flip_a_bit(folder: Path) -> None:
    file = folder / bundle.WEIGHTS
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def not_finite(folder: Path) -> None:
    weights = load_file(folder / bundle.WEIGHTS)
    name = max(weights, key=lambda one: weights[one].size)
    weights[name].flat[0] = np.nan
    save_file(weights, folder / bundle.WEIGHTS)


def other_shapes(folder: Path) -> None:
    weights = load_file(folder / bundle.WEIGHTS)
    shorter = {
        name: value[..., :-1].copy() if value.ndim else value for name, value in weights.items()
    }
    save_file(shorter, folder / bundle.WEIGHTS)


def wrong_card(folder: Path) -> None:
    card = json.loads((folder / bundle.CARD).read_text())
    card["network"]["resolution"] *= 2
    (folder / bundle.CARD).write_text(json.dumps(card))


# How it breaks, and whether its digest is that of the broken files: then only looking inside helps.
HARMS = [
    (truncate, False),
    (flip_a_bit, False),
    (not_finite, True),
    (other_shapes, True),
    (wrong_card, True),
]


def refused_total(house: House) -> float:
    text = house.http.get("/metrics").text
    line = re.search(r"^kao_bundles_refused_total (\S+)$", text, re.M)
    assert line is not None
    return float(line[1])


def test_a_broken_bundle_is_refused_and_the_old_model_serves(
    house: House, write_bundle: WriteBundle
) -> None:
    house.app()
    good = house.registry.aliases()[DEFAULT]
    face = house.http.get("/avatar?seed=1").content
    for number, (harm, consistent) in enumerate(HARMS):
        folder, before = write_bundle(number), refused_total(house)
        version = bundle.digest(folder)
        harm(folder)
        if consistent:
            version = bundle.digest(folder)
        place = house.registry.folder(version)
        shutil.copytree(folder, place)
        with house.engine.begin() as db:
            # As a worker would whose disk or memory is broken: nothing on its side notices.
            files = {"card": bundle.read_card(place), "bytes": 1}
            house.registry._register(db, version, files, None)
            house.registry._move(db, DEFAULT, version)

        def is_refused(version: str = version) -> bool:
            ready = house.http.get("/health/ready").json()
            return version in ready.get("refused", {}) and ready["status"] == "degraded"

        house.wait(is_refused, f"readiness says that {harm.__name__} was refused", 60)
        ready = house.http.get("/health/ready").json()
        assert ready["version"] == good
        assert any("refused" in ill for ill in ready["ills"])
        assert refused_total(house) == before + 1
        answer = house.http.get("/avatar?seed=1")
        assert (answer.status_code, answer.content) == (200, face)
        assert house.http.get(f"/avatar?seed=1&model={version}").status_code == 409
        house.registry.roll_back()
        house.wait(
            lambda: house.http.get("/health/ready").json()["status"] == "ready", "all is well", 60
        )
