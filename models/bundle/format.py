"""The bundle: what a run publishes, in a folder named by the digest of all its files.

    generator.safetensors   the averaged weights, once
    synthesis.onnx          latent or styles → pixels; its weights point into the safetensors file
    mapping.onnx            z → w, where the network has a mapping
    card.json               format, recipe, dataset, licence, how it was trained
    samples.png             a sheet of fixed seeds
    critic.onnx             images (N, S, S, 3) uint8 → scores (N,), where the run exported one
    traits.safetensors      a vector of w a slider (models/faces/sliders.py), where some were found
    growth.onnx             z, psi and a share of each moment of training → pixels, where kept
    enlarger.onnx           faces (1, S, S, 3) uint8 → the same 2 or 4 times as large, where trained
    nearest.png             drawn faces above their nearest training images, once evaluated

Nothing is pickled. Before a bundle serves, verify.py checks its digest, graphs, weights and sizes,
and draws a test image.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.errors import BadBundle
from models.faces.attributes import Attribute
from models.faces.sliders import Slider
from models.recipes.recipe import Recipe
from models.storage import atomic

WEIGHTS, SYNTHESIS, MAPPING = "generator.safetensors", "synthesis.onnx", "mapping.onnx"
CARD, SAMPLES, CRITIC = "card.json", "samples.png", "critic.onnx"
TRAITS, GROWTH, NEAREST = "traits.safetensors", "growth.onnx", "nearest.png"
ENLARGER = "enlarger.onnx"
REQUIRED_FILES = {WEIGHTS, SYNTHESIS, CARD, SAMPLES}
FILES = REQUIRED_FILES | {MAPPING, CRITIC, TRAITS, GROWTH, NEAREST, ENLARGER}
GRAPH_SUFFIX, WEIGHTS_SUFFIX = ".onnx", ".safetensors"
LARGEST_FILE = 2**30
# Bytes; the database has a copy, which every list of models reads. Those of runs have up to 40 kB.
LARGEST_CARD = 2**20


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Network(_Part):
    """Sizes of the generator. layers: rows of w that it reads, or 0 where its input is z."""

    resolution: int = Field(ge=16, le=1024)
    latent: int = Field(ge=2, le=1024)
    style: int = Field(ge=0, le=1024)
    layers: int = Field(ge=0, le=64)


class DatasetCredit(_Part):
    """The training set, and whom to credit for it."""

    name: str
    fingerprint: str
    licence: str
    credit: str
    images: int


class Training(_Part):
    """The progress of the run when it was published."""

    images: int
    seconds: float
    device: str
    # Warnings of divergence.py.
    warnings: list[str] = []


class Enlargement(_Part):
    """How `enlarger.onnx` was trained, and what it is worth.

    psnr, psnr_without: in dB on held-out pictures, damaged as a generator damages them; through
    the enlarger, and resized as without one.
    """

    scale: Literal[2, 4]
    dataset: str
    pictures: int
    steps: int
    seconds: float
    psnr: float
    psnr_without: float


class StudentReport(_Part):
    """How a student learnt to draw given pictures for given latents, without a discriminator.

    difference, difference_before: the mean absolute difference from those pictures afterwards and
    before, in levels of 255.
    """

    steps: int
    difference: float
    difference_before: float


class Evaluation(_Part):
    """One model against one dataset, as docs/training.md defines the measures.

    measures: at the network's resolution. served: at the size that people see, `size` among them.
    held_out: against pictures that the model never saw. backgrounds: shares of two-coloured ones.
    Older cards lack these three. traits: a row for each attribute, from an independent classifier
    on 500 faces. failures: a person's description of what goes wrong.
    """

    dataset: str
    psi: float
    measures: dict[str, float | list[float]]
    served: dict[str, float | list[float]] = {}
    held_out: dict[str, float] = {}
    backgrounds: dict[str, float] = {}
    traits: list[dict[str, Any]] = []
    failures: str = ""


class Card(_Part):
    """`card.json`. Later versions add fields; readers of format 1 ignore unknown fields."""

    format: Literal[1] = 1
    seed_specification: Literal[1] = 1
    network: Network
    # As the run stored it: an older recipe may not satisfy the current checks.
    recipe: dict[str, Any]
    dataset: DatasetCredit
    training: Training
    # FD-Lite0 and related measures, from the run itself; docs/training.md defines them.
    measures: dict[str, float] = {}
    # Selected by the last elements of a latent, which `network.latent` includes.
    attributes: list[Attribute] = []
    # What psi pulls towards: the average of all faces, or of those with the same attributes.
    # Older cards lack it.
    truncation: Literal["average", "attributes"] = "average"
    # The psi of pictures whose request has none: what looks best. Older cards lack it.
    psi: float = Field(default=1.0, ge=0, le=1.5)
    sliders: list[Slider] = []
    # Images seen at each checkpoint in `growth.onnx`, the published one last.
    moments: list[int] = []
    # FD-Lite0 during training: (images seen, fd).
    curve: list[tuple[int, float]] = []
    # From `kao evaluate --keep`.
    evaluation: Evaluation | None = None
    enlarger: Enlargement | None = None
    matched: StudentReport | None = None
    distilled: StudentReport | None = None
    # What the files of its pictures say besides model and address: from 2 on alternative text,
    # licence and credit. Older cards lack it, and their pinned pictures keep their bytes.
    provenance: Literal[1, 2] = 1
    parent_run: str | None
    created: str

    @property
    def traits(self) -> list[Attribute]:
        """The attributes that a request can select."""
        return [attribute for attribute in self.attributes if not attribute.hidden]

    @property
    def offers(self) -> list[str]:
        """Return the parameters of pictures that this model has and others may lack."""
        values = [f"{each.name}={value}" for each in self.traits for value in each.available]
        ages = ["age"] if self.moments else []
        return [*values, *(each.name for each in self.sliders), *ages]

    def offers_missing_in(self, other: "Card") -> list[str]:
        """Return those of `offers` that the other model lacks."""
        return [offer for offer in self.offers if offer not in other.offers]


def card_for(recipe: Recipe, **parts: Any) -> Card:
    """Build a card with this recipe."""
    return Card(recipe=recipe.model_dump(mode="json"), **parts)


def digest(folder: Path) -> str:
    """Return the version: SHA-256 over `name NUL sha256 LF` of every file, in order of names."""
    return digest_of(file_digests(folder))


def file_digests(folder: Path) -> dict[str, str]:
    """Return each file's SHA-256 in hex by its name, in order of names."""
    return {path.name: atomic.sha256(path) for path in sorted(folder.iterdir())}


def digest_of(digests: Mapping[str, str]) -> str:
    """Return the version of a bundle whose files have these SHA-256, in order of names."""
    lines = [f"{name}\0{sha256}\n" for name, sha256 in digests.items()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_card(folder: Path) -> dict[str, Any]:
    """Read the card and check its fields. Raises BadBundle."""
    try:
        if (folder / CARD).stat().st_size > LARGEST_CARD:
            raise BadBundle(f"The bundle's {CARD} has more than {LARGEST_CARD:,} bytes.")
        text = (folder / CARD).read_text()
        Card.model_validate_json(text)
        card: dict[str, Any] = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:  # pydantic's are ValueErrors
        raise BadBundle(f"The bundle's {CARD} cannot be read: {type(error).__name__}.") from None
    return card


def check_digest(folder: Path, version: str) -> None:
    """Raises BadBundle unless the files have the digest that is the version."""
    if digest(folder) != version:
        raise BadBundle(f"Bundle {version[:12]} is damaged: its files do not have its digest.")


def is_whole(folder: Path, version: str) -> bool:
    """Whether a bundle's files are there and have the version's digest."""
    try:
        return folder.is_dir() and digest(folder) == version
    except OSError:
        return False
