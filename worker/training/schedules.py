"""Schedules: settings that change during a run, as functions of its progress.

`fraction` is the share of the run that is done, 0 to 1; `images` are real images seen.
"""

import math

from models.recipes.automatic import AMPLE
from models.recipes.recipe import Recipe


def ema_decay(batch: int, images: int, half_life: int, ramp: float = 0.05) -> float:
    """The decay that halves a weight's share after `half_life` images; 0 follows exactly.

    Early on the half-life is a twentieth of what was seen: a longer one would keep the
    random start (StyleGAN2-ADA's ramp, arXiv:2006.06676 App. B).
    """
    half_life_now = min(float(half_life), ramp * images)
    return 0.5 ** (batch / half_life_now) if half_life_now > 0 else 0.0


def run_fraction(recipe: Recipe, steps: int, seconds: float, steps_per_epoch: int) -> float:
    """The share of a run that is done, by the nearest of its ends; 1 and above: it is over."""
    fractions = [0.0]
    if recipe.minutes is not None:
        fractions.append(seconds / (recipe.minutes * 60))
    if recipe.images is not None:
        fractions.append(steps * recipe.batch / recipe.images)
    if recipe.epochs is not None:
        fractions.append(steps / (recipe.epochs * steps_per_epoch))
    return max(fractions)


STRONGEST = 0.8  # above it, augmentations leak into what is drawn (arXiv:2006.06676 §2.2)
FRESH = 5  # passes over the set before a discriminator can memorise it
FAMILIAR = 40  # passes after which it has memorised a small set


def augmentation(count: int, images: int, strength: float | None) -> float:
    """The probability that a real or drawn image is changed before the discriminator sees it.

    By the set's size unless `strength` says it: nothing from 100,000 images, 0.35 at 20,000,
    0.8 at 2,500 and fewer. It rises with the passes over the set, since a discriminator
    memorises only what it saw many times.
    """
    if strength is None:
        strength = min(STRONGEST, max(0.0, 0.15 * math.log2(AMPLE / count)))
    passes = images / count
    return strength * min(max((passes - FRESH) / (FAMILIAR - FRESH), 0.0), 1.0)


def moments(count: int) -> list[float]:
    """The fractions of a run at which `count` moments are kept: each four times the one before.

    The last is a sixteenth: a face is there early, and what comes later is detail.
    """
    return [4.0 ** (place - count - 1) for place in range(count)]


FIRST_SHEET = 5.0  # s of training; it shows blots, and that the training runs


def sheet_is_due(images: int, before: int, every: int, last: int, seconds: float) -> bool:
    """Whether a sheet of samples is due after a step.

    images, before: seen after and before the step; every: the recipe's interval in images; last:
    images seen at the newest sheet, 0 before there is one; seconds: of training so far.

    Sheets come at multiples of `every`. Before the first of them the first sheet comes after
    FIRST_SHEET seconds, and others whenever the images seen have doubled: the beginning is what
    people watch.
    """
    if images // every > before // every:
        return True
    return images < every and seconds >= FIRST_SHEET and images >= 2 * last
