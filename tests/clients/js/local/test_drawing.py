"""The engine in Node draws what the server draws."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.bootstrap import SHIPPED
from models.bundle import WEIGHTS, Card, provenance, read_card
from models.bundle.generator import Drawer
from models.faces import attributes, latents
from models.faces.resizing import resize
from tests.clients.js.local.conftest import DrawInNode, Pixels, RunNode, pack_bundle
from tests.support.enlargers import add_enlarger
from tests.support.fixtures import WriteBundle

BUNDLES = sorted(path.parent for path in SHIPPED.glob("*/card.json"))
# Without an enlarger; the model that a new home serves has one, and hidden attributes.
DEFAULT = next(folder for folder in BUNDLES if folder.name.startswith("250b1d41"))
NEWEST = max(BUNDLES, key=lambda folder: str(read_card(folder)["created"]))
PSI = (0, 0.3, 0.7, 1, 1.5)


def drawer_of(folder: Path) -> Drawer:
    return Drawer(folder, Card.model_validate(read_card(folder)), threads=1)


def draw_on_server(drawer: Drawer, job: dict[str, Any], size: int) -> Pixels:
    """What `/avatar` draws for a job, before encoding."""
    look, length = job.get("look", {}), drawer.card.network.latent
    traits = look.get("traits", {})
    z = latents.derive(job["seed"], length, look.get("variant", 0))[None]
    z = attributes.select(z, drawer.card.attributes, traits)
    w = drawer.truncate(drawer.styles(z), look.get("psi", drawer.card.psi), z)
    values = {name: traits[name] for name in traits if isinstance(traits[name], int | float)}
    w = drawer.steer(w, values)
    faces = drawer.enlarge(drawer.synthesise(np.repeat(w[:, None], drawer.rows, axis=1)), size)
    return np.asarray(resize(faces[0], size))


def differences(
    draw_in_node: DrawInNode,
    folder: Path,
    jobs: list[dict[str, Any]],
    size: int,
    least_spread: float = 5,
) -> Pixels:
    """How far apart the values are; least_spread: the deviation that the faces must have."""
    drawer = drawer_of(folder)
    node_pixels = draw_in_node(folder, jobs, size).astype(int)
    server_pixels = np.stack([draw_on_server(drawer, job, size) for job in jobs]).astype(int)
    assert server_pixels.std() > least_spread, (
        "the faces are of one colour, so they compare nothing"
    )
    difference: Pixels = np.abs(node_pixels - server_pixels).astype(np.uint8)
    return difference


@pytest.mark.parametrize("folder", BUNDLES, ids=lambda folder: folder.name[:8])
def test_every_shipped_model_draws_the_servers_faces(
    draw_in_node: DrawInNode, folder: Path
) -> None:
    size = drawer_of(folder).card.network.resolution
    jobs = [{"seed": str(seed), "look": {"psi": PSI[seed % len(PSI)]}} for seed in range(20)]
    difference = differences(draw_in_node, folder, jobs, size)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3


@pytest.mark.parametrize("folder", [DEFAULT, NEWEST], ids=["older", "newest"])
def test_every_trait_and_slider_is_the_servers(draw_in_node: DrawInNode, folder: Path) -> None:
    card = drawer_of(folder).card
    jobs = [
        {"seed": value, "look": {"psi": 0.7, "variant": 3, "traits": {attribute.name: value}}}
        for attribute in card.traits
        for value in attribute.available
    ]
    jobs += [
        {"seed": slider.name, "look": {"traits": {slider.name: value}}}
        for slider in card.sliders
        for value in (-1.0, 0.35)
    ]
    assert len(jobs) > 60
    assert differences(draw_in_node, folder, jobs, card.network.resolution).max() <= 1


@pytest.mark.parametrize("size", [16, 48, 100, 128, 256])
def test_sizes_are_the_servers_to_a_rounding(draw_in_node: DrawInNode, size: int) -> None:
    """Of two pixels that differ by 1 before, bicubic resizing may make 2."""
    jobs = [{"seed": str(seed)} for seed in range(4)]
    difference = differences(draw_in_node, DEFAULT, jobs, size)
    assert difference.max() <= 2
    assert (difference > 0).mean() < 1e-2


@pytest.mark.parametrize("size", [80, 128, 256, 300])
def test_an_enlarger_draws_the_servers_faces(
    draw_in_node: DrawInNode, tmp_path: Path, size: int
) -> None:
    folder = add_enlarger(DEFAULT, tmp_path / "enlarged")
    difference = differences(draw_in_node, folder, [{"seed": str(seed)} for seed in range(4)], size)
    assert difference.max() <= 2
    assert (difference > 0).mean() < 1e-2


def test_a_model_without_styles_scales_its_latent(
    draw_in_node: DrawInNode, write_bundle: WriteBundle
) -> None:
    folder = write_bundle(preset="classic")
    jobs = [{"seed": str(seed), "look": {"psi": 1.5}} for seed in range(3)]
    size = drawer_of(folder).card.network.resolution
    # Untrained, it draws nearly grey.
    assert differences(draw_in_node, folder, jobs, size, least_spread=0.5).max() <= 1


def test_a_hidden_attribute_is_chosen_by_the_seed_alone(
    draw_in_node: DrawInNode, write_bundle: WriteBundle
) -> None:
    length = attributes.Attribute(name="length", values=["long", "short"], shares=[0.4, 0.6])
    hair = attributes.Attribute(
        name="hair",
        values=["a", "b", "c"],
        shares=[0.1, 0.3, 0.6],
        hidden=True,
        parent="length",
        parent_codes=[0, 0, 1],
    )
    folder = write_bundle(attributes=[length, hair])
    looks = [
        {"psi": psi, "traits": {"length": value}} for psi in (0.5, 1) for value in length.values
    ]
    jobs = [{"seed": str(seed), "look": look} for seed in range(4) for look in looks]
    size = drawer_of(folder).card.network.resolution
    assert differences(draw_in_node, folder, jobs, size, least_spread=0.5).max() <= 1
    with pytest.raises(AssertionError, match="no trait hair"):
        draw_in_node(folder, [{"seed": "1", "look": {"traits": {"hair": "a"}}}], size)


def test_metadata_of_the_weights_is_no_tensor(
    draw_in_node: DrawInNode, write_bundle: WriteBundle
) -> None:
    folder = write_bundle()
    assert provenance.read_weights(folder / WEIGHTS) is not None
    jobs = [{"seed": str(seed), "look": {"psi": 0.5}} for seed in range(3)]
    size = drawer_of(folder).card.network.resolution
    assert differences(draw_in_node, folder, jobs, size, least_spread=0.5).max() <= 1


def test_a_picture_leaves_no_buffer_behind(run_node: RunNode, tmp_path: Path) -> None:
    folder = pack_bundle(NEWEST, tmp_path / "packed")
    assert int(run_node("allocate.mjs", folder)) < 100_000  # bytes; a picture of 512 px has 2 MB
