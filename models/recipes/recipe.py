"""Recipes: every choice of a training run, as one validated object.

A recipe is at once the body of `POST /train` (a preset plus overrides), the worker's
configuration and a part of the model card; no layer renames or re-reads a field.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.errors import InvalidRecipe, UnknownPreset
from models.faces.attributes import TraitName
from models.recipes.adversarial_losses import LossName
from models.recipes.presets import PRESETS


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Adam(_Strict):
    """Adam's settings for one of the two networks (arXiv:1412.6980)."""

    learning_rate: Annotated[float, Field(gt=0, le=0.1, description="Step size.")]
    beta1: Annotated[
        float, Field(ge=0, lt=1, description="Momentum; GANs want 0 to 0.5 (arXiv:1511.06434).")
    ]
    beta2: Annotated[float, Field(ge=0, lt=1, description="Decay of the squared gradient.")]


class Recipe(_Strict):
    """All hyperparameters of one run.

    Equal recipes on one CPU give equal weights where `images` or `epochs` end the run; under
    `minutes`, what is scheduled over the run follows the clock.
    """

    preset: Annotated[str, Field(description="The preset that this recipe started from.")]
    dataset: Annotated[
        str,
        Field(min_length=1, max_length=200, description="`starter`, or an uploaded set's name."),
    ] = "starter"
    start_from: Annotated[
        str | None,
        Field(max_length=80, description="A run to extend, or a model to fine-tune."),
    ] = None
    dataset_limit: Annotated[
        int | None, Field(ge=2, le=10_000_000, description="Use only the first N images.")
    ] = None

    held_out: Annotated[
        float,
        Field(
            ge=0,
            le=0.5,
            description="Share of the set, from 2,000 images up, kept from training to measure by.",
        ),
    ] = 0.0

    labels: Annotated[
        list[TraitName],
        Field(
            max_length=32,
            description="Labels of the dataset: attributes for conditioning, numbers for sliders.",
        ),
    ] = []

    hidden_labels: Annotated[
        list[TraitName],
        Field(
            max_length=32,
            description="Labels that condition the generator but are no parameter of pictures.",
        ),
    ] = []

    balance: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="How far rare values of labels are shown more often; 0: as in the set.",
        ),
    ] = 0.0

    network: Annotated[
        Literal["classic", "modern"], Field(description="`classic` is the tutorial's DCGAN.")
    ]
    resolution: Annotated[int, Field(ge=16, le=256, description="Side of an image, in pixels.")]
    latent: Annotated[int, Field(ge=2, le=1024, description="Length of the latent z.")]
    style: Annotated[
        int, Field(ge=0, le=1024, description="Length of the style w; 0: no mapping network.")
    ]
    width: Annotated[int, Field(ge=4, le=256, description="Generator channels at full resolution.")]
    flatten: Annotated[
        float,
        Field(ge=0, le=64, description="Differences of 255 that are smoothed away, for flat art."),
    ] = 0.0
    residuals: Annotated[
        int,
        Field(ge=0, le=6, description="Last resolutions that get another residual convolution."),
    ] = 0
    discriminator_width: Annotated[
        int, Field(ge=4, le=256, description="Discriminator channels at full resolution.")
    ]
    feature_weight: Annotated[
        float,
        Field(ge=0, le=100, description="Weight of a discriminator on frozen features; 0: none."),
    ] = 0.0
    noise: Annotated[
        float,
        Field(
            ge=0,
            le=64,
            description="Noise, in levels of 255, on all that the discriminator sees.",
        ),
    ] = 0.0

    loss: Annotated[
        LossName,
        Field(description="`bce`: the tutorial's, for `classic`; `relativistic`: RpGAN."),
    ]
    penalty: Annotated[
        Literal["r1", "r1+r2"],
        Field(description="Gradient penalty on real images (R1), or on generated ones too (R2)."),
    ] = "r1"
    label_weight: Annotated[
        float,
        Field(ge=0, le=100, description="Weight of naming the labels right (AC-GAN); 0: none."),
    ] = 0.0
    match_weight: Annotated[
        float,
        Field(
            ge=0,
            le=1000,
            description="Weight of drawing the very picture whose labels a face has; 0: none.",
        ),
    ] = 0.0
    matching_steps: Annotated[
        int,
        Field(
            ge=0,
            le=10_000_000,
            description="Steps in which the finished generator learns, by `match_weight`'s labels, "
            "the set's pictures alone; 0: none.",
        ),
    ] = 0
    gamma: Annotated[
        float, Field(ge=0, le=1000, description="Weight of the gradient penalty; 0: none.")
    ]
    gamma_end: Annotated[
        float | None,
        Field(ge=0, le=1000, description="Its weight at the end, on a cosine; none: constant."),
    ] = None
    penalty_every: Annotated[
        int, Field(ge=1, le=64, description="Steps between penalties (lazy regularisation).")
    ] = 1
    batch: Annotated[int, Field(ge=2, le=4096, description="Images in a step.")]
    accumulation: Annotated[
        int,
        Field(
            ge=1,
            le=256,
            description="Parts that a batch is computed in, for devices with little memory.",
        ),
    ] = 1
    generator: Adam
    discriminator: Adam
    learning_rate_end: Annotated[
        float,
        Field(ge=0, le=1, description="Share of both learning rates at the end, on a cosine."),
    ] = 1.0
    ema_images: Annotated[
        int, Field(ge=0, le=10_000_000, description="Half-life of the weight average; 0: none.")
    ]
    mixing: Annotated[
        float, Field(ge=0, le=1, description="Share of images drawn with two styles in training.")
    ] = 0.0
    flip: Annotated[bool, Field(description="Mirror half of the real images.")] = False
    augment: Annotated[
        float | None,
        Field(ge=0, le=1, description="Strength of augmentation; none: by the set's size."),
    ] = None

    minutes: Annotated[
        float | None, Field(gt=0, le=100_000, description="Stop after this much training time.")
    ] = None
    images: Annotated[
        int | None, Field(ge=1, le=10**10, description="Stop after this many real images.")
    ] = None
    epochs: Annotated[
        int | None, Field(ge=1, le=1_000_000, description="Stop after this many passes.")
    ] = None

    seed: Annotated[int, Field(ge=0, lt=2**63, description="Seeds weights and every draw.")] = 0
    precision: Annotated[
        Literal["auto", "fp32", "bf16"],
        Field(description="`auto`: bf16 where the processor has it."),
    ] = "fp32"
    threads: Annotated[
        int | None, Field(ge=1, le=256, description="CPU threads; none: the free cores.")
    ] = None
    snapshot_seconds: Annotated[
        float, Field(ge=0.1, le=86_400, description="Time between resumable snapshots.")
    ] = 60
    sheet_images: Annotated[
        int, Field(ge=1, le=10**9, description="Images between two sample sheets.")
    ] = 5_000
    publish_minutes: Annotated[
        float | None,
        Field(gt=0, le=100_000, description="Also publish this often while training."),
    ] = None
    measure_every: Annotated[
        int | None,
        Field(ge=1, le=10**9, description="Images between two measurements (FD-Lite0); none."),
    ] = None
    measure_samples: Annotated[
        int, Field(ge=20, le=50_000, description="Faces in a measurement, against as many real.")
    ] = 1_000
    publish: Annotated[
        Literal["best", "last", "manual"],
        Field(description="The snapshot to publish at the end; `best` is the lowest FD's."),
    ] = "last"
    critic: Annotated[
        bool, Field(description="Publish the discriminator too, for `best_of` among faces.")
    ] = True
    sliders: Annotated[bool, Field(description="Look for sliders in the finished generator.")] = (
        True
    )
    enlarger_steps: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000,
            description="Steps that train the enlarger afterwards, at most the generator's; "
            "0: none.",
        ),
    ] = 0
    enlarger_width: Annotated[int, Field(ge=4, le=256, description="The enlarger's channels.")] = 32
    enlarger_blocks: Annotated[
        int, Field(ge=0, le=16, description="The enlarger's blocks of two convolutions.")
    ] = 3
    enlarger_fold: Annotated[
        Literal[1, 2],
        Field(description="Pixels along a side of a place of its grid; 2 is quicker to draw."),
    ] = 1
    distillation_steps: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000,
            description="Steps in which the generator then learns its enlarger's clean pictures, "
            "at most its own; 0: none.",
        ),
    ] = 0
    growth: Annotated[
        int, Field(ge=0, le=8, description="Earlier moments to publish too, for `age`.")
    ] = 0
    promote: Annotated[
        Literal["never", "if_better", "always"],
        Field(description="Whether publishing also moves `default`, what `/avatar` serves."),
    ] = "never"
    on_divergence: Annotated[
        Literal["stop", "rollback", "continue"],
        Field(description="What to do when a loss is no number, or samples collapse."),
    ] = "stop"

    @model_validator(mode="after")
    def _check_end(self) -> "Recipe":
        if self.minutes is None and self.images is None and self.epochs is None:
            raise ValueError("give `minutes`, `images` or `epochs`, so that the run ends")
        return self

    @property
    def has_labels(self) -> bool:
        """Whether the dataset must have labels."""
        return bool(self.labels or self.hidden_labels)

    @model_validator(mode="after")
    def _check_labels(self) -> "Recipe":
        names = [*self.labels, *self.hidden_labels]
        if len(set(names)) < len(names):
            raise ValueError("a label must stand once, in `labels` or in `hidden_labels`")
        return self

    @model_validator(mode="after")
    def _check_matching(self) -> "Recipe":
        if self.match_weight and not self.has_labels:
            raise ValueError("`match_weight` needs `labels`: they say which picture a face is")
        if self.match_weight and self.flip:
            raise ValueError(
                "labels do not say which pictures are mirrored: with `match_weight`, `flip` must "
                "be false"
            )
        if self.matching_steps and not self.match_weight:
            raise ValueError("`matching_steps` need a `match_weight` above 0")
        return self

    @model_validator(mode="after")
    def _check_batch(self) -> "Recipe":
        if self.batch % self.accumulation or self.batch == self.accumulation > 1:
            raise ValueError(
                "`batch` must be a multiple of `accumulation`, and leave each part two images"
            )
        return self

    @model_validator(mode="after")
    def _check_network(self) -> "Recipe":
        if self.network == "classic":
            if self.resolution != 96:
                raise ValueError("`classic` draws 96×96 only; for another `resolution` use modern")
            if self.style:
                raise ValueError("`classic` has no mapping network: `style` must be 0")
        elif self.resolution not in RESOLUTIONS:
            near = min(RESOLUTIONS, key=lambda size: abs(size - self.resolution))
            raise ValueError(
                f"`resolution` must be b·2^k, b from 4 to 7; nearest to {self.resolution}: {near}"
            )
        if self.flatten and self.network == "classic":
            raise ValueError(
                "`classic` is the tutorial's and draws as it does: `flatten` must be 0"
            )
        if self.residuals and self.network == "classic":
            raise ValueError("`classic` is the tutorial's network: `residuals` must be 0")
        if self.distillation_steps and self.network == "classic":
            raise ValueError("`classic` is the tutorial's network: `distillation_steps` must be 0")
        if self.has_labels and not self.style:
            raise ValueError("`labels` need a mapping network: `style` above 0")
        if (self.network == "classic") != (self.loss == "bce"):
            raise ValueError("`loss` bce is for `classic`, which takes no other")
        return self


RESOLUTIONS: list[int] = sorted(
    b * 2**k for b in (4, 5, 6, 7) for k in range(2, 7) if 16 <= b * 2**k <= 256
)

_LENGTHS = ("minutes", "images", "epochs")


def find_preset(name: Any) -> dict[str, Any]:
    """A preset's fields. Raises UnknownPreset."""
    if not isinstance(name, str) or name not in PRESETS:
        raise UnknownPreset(str(name)[:80], sorted(PRESETS))
    return PRESETS[name]


def resolve(overrides: dict[str, Any], base: dict[str, Any] | None = None) -> Recipe:
    """A preset (`preset`, default `modern-64`) with fields replaced, checked as a whole.

    base: another recipe to change, instead of a preset. Asking for one length drops the base's.
    Nested optimisers merge field by field.
    Raises UnknownPreset, or InvalidRecipe naming each field, its value and its range.
    """
    if base is None:
        name = overrides.get("preset", "modern-64")
        base = {**find_preset(name), "preset": name}
    fields = dict(base)
    if any(overrides.get(length) is not None for length in _LENGTHS):
        fields = {key: value for key, value in fields.items() if key not in _LENGTHS}
    for key, value in overrides.items():
        is_nested = isinstance(value, dict) and isinstance(fields.get(key), dict)
        fields[key] = {**fields[key], **value} if is_nested else value
    try:
        return Recipe.model_validate(fields)
    except ValidationError as error:
        raise InvalidRecipe(
            [_problem(item["loc"], item["msg"], item["type"]) for item in error.errors()]
        ) from None


def _problem(place: tuple[int | str, ...], message: str, kind: str) -> dict[str, str]:
    """What is wrong with a field, and what it may be."""
    problem = message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        problem = "is not a field of a recipe; docs/training.md lists them"
    if limits := _range_of(place):
        problem += f" (allowed: {limits})"
    return {"field": ".".join(str(part) for part in place) or "recipe", "problem": problem}


def _range_of(place: tuple[int | str, ...]) -> str:
    """A number's range, as the schema has it; nothing for other fields."""
    whole = Recipe.model_json_schema()
    schema: dict[str, Any] = whole
    for part in place:
        schema = whole["$defs"].get(schema.get("$ref", "").rpartition("/")[2], schema)
        schema = schema.get("properties", {}).get(part, {})
    for one in schema.get("anyOf", [schema]):
        low, high = (
            one.get(inclusive, one.get(exclusive))
            for inclusive, exclusive in (
                ("minimum", "exclusiveMinimum"),
                ("maximum", "exclusiveMaximum"),
            )
        )
        if low is not None and high is not None:
            above = "above " if "exclusiveMinimum" in one else ""
            below = "below " if "exclusiveMaximum" in one else ""
            return f"{above}{low:g} to {below}{high:g}"
    return ""
