"""Whether a face shows the traits that a request names, and keeps those that it does not name.

A small classifier judges. It is trained on the dataset's true labels, shares nothing with the
discriminator, and its accuracy on held-out real pictures says how far it can be trusted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.bundle.generator import Drawer
from models.errors import DatasetError
from models.faces import latents
from models.faces.attributes import Attribute
from worker.datasets.packing import PackedDataset
from worker.evaluation import classifier
from worker.evaluation.classifier import Codes, TrainedClassifier

TRUNCATED_PSI = 0.7  # a second psi at which traits are judged


@dataclass(frozen=True)
class Adherence:
    """How far faces follow their requests at one psi: shares, 0 to 1.

    shown: faces that show the requested value. kept: their other attributes that stayed as they
    were, on average; worst_kept: the one that stayed least often.
    """

    psi: float
    shown: float
    kept: float
    worst_kept: float


@dataclass(frozen=True)
class Trait:
    """One attribute's accuracy.

    judge: held-out real pictures whose value the classifier names. shown, kept, worst_kept: as in
    `Adherence`, at the psi of the evaluation; truncated: the same at psi 0.7.
    """

    name: str
    values: list[str]
    judge: float
    shown: float
    kept: float
    worst_kept: float
    truncated: Adherence


def evaluate(drawer: Drawer, dataset: PackedDataset, samples: int, psi: float = 1.0) -> list[Trait]:
    """Request another value of each attribute of `samples` fresh seeds, at `psi` and TRUNCATED_PSI.

    Raises DatasetError where the model has no attributes, or the set lacks their labels.
    """
    attributes = drawer.card.traits
    if not attributes:
        raise DatasetError("This model has no traits: it was trained without `labels`.")
    judge = classifier.train(
        dataset.images(),
        true_codes(dataset.labels(), attributes, dataset.name),
        [len(each.values) for each in attributes],
    )
    seeds = [
        latents.derive(f"trait {number}", drawer.card.network.latent) for number in range(samples)
    ]
    z = np.stack(seeds)
    adherence = {
        at: _measure_adherence(drawer, judge, z, attributes, at)
        for at in dict.fromkeys((psi, TRUNCATED_PSI))
    }
    return [
        Trait(
            name=attribute.name,
            values=attribute.values,
            judge=judge.accuracies[place],
            shown=adherence[psi][place].shown,
            kept=adherence[psi][place].kept,
            worst_kept=adherence[psi][place].worst_kept,
            truncated=adherence[TRUNCATED_PSI][place],
        )
        for place, attribute in enumerate(attributes)
    ]


def true_codes(
    labels: Mapping[str, Mapping[str, Sequence[Any]]], attributes: Sequence[Attribute], name: str
) -> Codes:
    """(pictures, attributes): the set's labels, in the order of the model's values.

    Raises DatasetError for an attribute or a value that the set or the model lacks.
    """
    missing = [each.name for each in attributes if each.name not in labels]
    if missing:
        raise DatasetError(f"{name!r} has no labels named {', '.join(missing)}.")
    return np.stack([_codes(labels[each.name], each) for each in attributes], axis=1)


def _measure_adherence(
    drawer: Drawer,
    judge: TrainedClassifier,
    z: NDArray[np.float32],
    attributes: Sequence[Attribute],
    psi: float,
) -> list[Adherence]:
    random = np.random.default_rng(0)
    before = judge.predict(drawer.draw(z, psi))
    names = [attribute.name for attribute in drawer.card.attributes]
    marks = []
    for place, attribute in enumerate(attributes):
        target_codes = _other_values(random, attribute, before[:, place])
        new_z = z.copy()
        new_z[:, names.index(attribute.name) - len(names)] = [
            attribute.normal(attribute.values[code]) for code in target_codes
        ]
        after = judge.predict(drawer.draw(new_z, psi))
        other_places = [number for number in range(len(attributes)) if number != place]
        kept_shares = (after == before).mean(0)[other_places] if other_places else np.ones(1)
        shown_share = float((after[:, place] == target_codes).mean())
        marks.append(
            Adherence(psi, shown_share, float(kept_shares.mean()), float(kept_shares.min()))
        )
    return marks


def _codes(label: Mapping[str, Sequence[Any]], attribute: Attribute) -> Codes:
    place = {value: number for number, value in enumerate(attribute.values)}
    try:
        model_codes = [place[str(value)] for value in label["values"]]
    except KeyError as error:
        raise DatasetError(f"The model knows no {attribute.name} {error}.") from None
    codes: Codes = np.array(model_codes)[np.array(label["codes"])]
    return codes


def _other_values(random: np.random.Generator, attribute: Attribute, face_codes: Codes) -> Codes:
    """For each face a value that it does not show, of those that the set has."""
    possible = [code for code, share in enumerate(attribute.shares) if share > 0]
    # An attribute of one value has no other value to request.
    return np.array(
        [
            random.choice([code for code in possible if code != face_code] or possible)
            for face_code in face_codes
        ]
    )
