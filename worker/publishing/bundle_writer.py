"""Writes averaged weights as a bundle's folder, which `models.registry` can publish."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from PIL import Image
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import save, save_file
from torch import Tensor, nn

from models import bundle
from models.bundle import generator as bundle_generator
from models.bundle.provenance import Provenance, provenance, provenance_of
from models.database.engine import now
from models.errors import KaoError
from models.faces import latents
from models.faces.attributes import Attribute
from models.recipes.recipe import Recipe
from models.registry import Registry
from models.storage import atomic
from worker.datasets.packing import PackedDataset
from worker.publishing import onnx_export, slider_search
from worker.publishing.slider_search import Property
from worker.publishing.weight_grid import on_grid

SHEET = 8  # faces along each side of samples.png


class Moment(NamedTuple):
    """The averaged generator's weights after so many images."""

    images: int
    weights: Mapping[str, Tensor]


class Enlarger(NamedTuple):
    """A trained network, and what a card says of it."""

    network: nn.Module
    card: bundle.Enlargement


def write(
    folder: Path,
    generator: nn.Module,
    recipe: Recipe,
    dataset: PackedDataset,
    training: bundle.Training,
    run: str | None,
    measures: dict[str, float] | None = None,
    attributes: Sequence[Attribute] = (),
    discriminator: nn.Module | None = None,
    moments: Sequence[Moment] = (),
    curve: Sequence[tuple[int, float]] = (),
    enlarger: Enlarger | None = None,
    properties: Mapping[str, Property] | None = None,
    student_reports: Mapping[str, bundle.StudentReport] = MappingProxyType({}),
) -> None:
    """Fill `folder` with a bundle of this generator; the caller settles it.

    discriminator: published as the model's critic. moments: published as its growth, oldest first.
    properties: what to find sliders for beside slider_search's own (number_properties.learn).
    student_reports: `matched` and `distilled` of the card, of the stages that trained a student.
    """
    # A copy on the CPU in plain layout, since the training goes on.
    network = on_grid(generator).eval()
    latent = recipe.latent + len(attributes)
    credit = _credit(dataset)
    layers, origin = _write_generator(folder, network, recipe, latent, moments, credit)
    _write_optional_graphs(folder, recipe.resolution, discriminator, enlarger)
    _add_origin(folder, origin)
    card = bundle.card_for(
        recipe,
        network=bundle.Network(
            resolution=recipe.resolution, latent=latent, style=recipe.style, layers=layers
        ),
        dataset=credit,
        training=training,
        measures=measures or {},
        attributes=list(attributes),
        truncation="attributes" if attributes else "average",
        moments=[*(moment.images for moment in moments), training.images] if moments else [],
        curve=list(curve),
        enlarger=enlarger.card if enlarger is not None else None,
        **student_reports,
        provenance=2,
        parent_run=run,
        created=now(),
    )
    drawer = bundle_generator.Drawer(folder, card, threads=1)
    write_card(folder, _add_sliders(folder, network, drawer, recipe, properties or {}, origin))
    _write_samples(folder, drawer)


def _add_origin(folder: Path, origin: Provenance) -> None:
    for path in folder.glob(f"*{bundle.GRAPH_SUFFIX}"):
        onnx_export.add_metadata(path, origin.entries())


def _write_samples(folder: Path, drawer: bundle_generator.Drawer) -> None:
    z = latents.derive_all(map(str, range(SHEET**2)), drawer.card.network.latent)
    Image.fromarray(sheet(drawer.draw(z, 1.0))).save(folder / bundle.SAMPLES, optimize=True)


def _write_generator(
    folder: Path,
    network: nn.Module,
    recipe: Recipe,
    latent: int,
    moments: Sequence[Moment],
    credit: bundle.DatasetCredit,
) -> tuple[int, Provenance]:
    """Write the generator's weights and graphs; how many rows of w they take, and their origin."""
    weights = {
        name: tensor.contiguous()
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point()
    }
    origin = provenance(credit, save(weights))
    save_file(weights, folder / bundle.WEIGHTS, metadata=origin.entries())
    layers = onnx_export.export_generator(network, latent, recipe.style, folder)
    if moments:
        earlier = [moment.weights for moment in moments]
        onnx_export.export_growth(network, earlier, latent, folder / bundle.GROWTH)
    return layers, origin


def _write_optional_graphs(
    folder: Path, resolution: int, discriminator: nn.Module | None, enlarger: Enlarger | None
) -> None:
    if discriminator is not None:
        onnx_export.export_critic(discriminator, resolution, folder)
    if enlarger is not None:
        onnx_export.export_enlarger(enlarger.network, resolution, folder)


def _credit(dataset: PackedDataset) -> bundle.DatasetCredit:
    return bundle.DatasetCredit(
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        licence=dataset.licence,
        credit=dataset.credit,
        images=dataset.count,
    )


def _add_sliders(
    folder: Path,
    network: nn.Module,
    drawer: bundle_generator.Drawer,
    recipe: Recipe,
    properties: Mapping[str, Property],
    origin: Provenance,
) -> bundle.Card:
    """Search sliders and write their vectors; the drawer's card with them."""
    search = slider_search.find(
        network,
        drawer,
        [attribute.name for attribute in drawer.card.attributes],
        {**(slider_search.PROPERTIES if recipe.sliders else {}), **properties},
        slider_search.SHAPES if recipe.sliders else (),
    )
    if not search.sliders:
        return drawer.card
    save_numpy(search.vectors, folder / bundle.TRAITS, metadata=origin.entries())
    return drawer.card.model_copy(update={"sliders": search.sliders})


def with_evaluation(
    registry: Registry,
    version: str,
    evaluation: bundle.Evaluation,
    nearest: bundle_generator.Pixels,
    default_psi: float | None = None,
) -> str:
    """The same model once more, with what was measured on its card; the new version.

    nearest: (H, W, 3), drawn faces above their nearest training images. default_psi: the psi of
    pictures whose request has none, in place of the card's.
    """
    with atomic.scratch_folder(registry.bundles) as folder:
        atomic.copy_files(registry.fetch(version), folder)
        Image.fromarray(nearest).save(folder / bundle.NEAREST, optimize=True)
        card = bundle.Card.model_validate(bundle.read_card(folder))
        psi = card.psi if default_psi is None else default_psi
        write_card(folder, card.model_copy(update={"evaluation": evaluation, "psi": psi}))
        return registry.add(folder)


def with_enlarger(registry: Registry, version: str, enlarger: Enlarger) -> str:
    """Publish the same generator once more, with this enlarger; the new version.

    Its card keeps what was measured at the network's resolution, where the faces are the same.
    Raises BadBundle where the enlarger does not draw these faces.
    """

    def write_graph(folder: Path, resolution: int) -> None:
        onnx_export.export_enlarger(enlarger.network, resolution, folder)
        dataset = bundle.Card.model_validate(bundle.read_card(folder)).dataset
        origin = provenance_of(folder, dataset)
        onnx_export.add_metadata(folder / bundle.ENLARGER, origin.entries())

    return _publish_with_enlarger(registry, version, enlarger.card, write_graph)


def with_enlarger_of(registry: Registry, version: str, donor: str) -> str:
    """The same with the enlarger of another version. Raises KaoError, BadBundle."""
    source = registry.fetch(donor)
    enlargement = bundle.Card.model_validate(bundle.read_card(source)).enlarger
    if enlargement is None:
        raise KaoError(f"Model {donor[:12]} has no enlarger.")

    def write_graph(folder: Path, _: int) -> None:
        shutil.copyfile(source / bundle.ENLARGER, folder / bundle.ENLARGER)

    return _publish_with_enlarger(registry, version, enlargement, write_graph)


def _publish_with_enlarger(
    registry: Registry,
    version: str,
    enlargement: bundle.Enlargement,
    write_graph: Callable[[Path, int], None],
) -> str:
    with atomic.scratch_folder(registry.bundles) as folder:
        atomic.copy_files(registry.fetch(version), folder)
        card = bundle.Card.model_validate(bundle.read_card(folder))
        write_graph(folder, card.network.resolution)
        changes = {
            "enlarger": enlargement,
            "provenance": 2,
            "created": now(),
            **_without_served_size(card),
        }
        write_card(folder, card.model_copy(update=changes))
        return registry.add(folder)


def _without_served_size(card: bundle.Card) -> dict[str, Any]:
    """The card's measures without those at the served size, where its faces look different now."""
    measures = {
        name: value for name, value in card.measures.items() if not name.startswith("served_")
    }
    if card.evaluation is None:
        return {"measures": measures}
    evaluation = card.evaluation.model_copy(update={"served": {}, "held_out": {}})
    return {"measures": measures, "evaluation": evaluation}


def write_card(folder: Path, card: bundle.Card) -> None:
    """Write or replace `card.json`."""
    (folder / bundle.CARD).write_text(json.dumps(card.model_dump(mode="json"), indent=1) + "\n")


def sheet(pixels: bundle_generator.Pixels) -> bundle_generator.Pixels:
    """(n², S, S, 3) → (nS, nS, 3): the faces in rows."""
    side, size = round(len(pixels) ** 0.5), pixels.shape[1]
    rows = pixels.reshape(side, side, size, size, 3).swapaxes(1, 2)
    return rows.reshape(side * size, side * size, 3)
