"""Presets: named recipes, as the fields that differ from the recipe's defaults."""

from typing import Any

# Five minutes of one core with AMX (docs/experiments.md).
ENLARGER_STEPS = 12_000
DISTILLATION_STEPS = 1_000

# The tutorial's recipe: lr 1e-4 for both, PyTorch's default betas, batch 100, 2,500 epochs.
_TUTORIAL = {"learning_rate": 1e-4, "beta1": 0.9, "beta2": 0.999}
_MODERN = {"learning_rate": 4e-4, "beta1": 0.0, "beta2": 0.99}
_R3GAN = {"learning_rate": 2e-4, "beta1": 0.0, "beta2": 0.99}
# Where a recipe has `labels`: rare values are learnt too, and faces show the requested traits.
FOR_LABELS: dict[str, Any] = {"label_weight": 2.0, "balance": 1.0}
# Of new runs; a stored recipe without the field holds nothing out, so its run resumes exactly.
HELD_OUT = 0.05

# R3GAN's schedule (arXiv:2501.05441 App. D) with a generator that one core still draws 75 times
# a second: what a GPU gives goes into the discriminator, which is never served.
_GPU: dict[str, Any] = {
    **FOR_LABELS,
    "network": "modern",
    "latent": 128,
    "style": 128,
    "discriminator_width": 64,
    "loss": "relativistic",
    "penalty": "r1+r2",
    "penalty_every": 1,
    "batch": 256,
    "generator": _R3GAN,
    "discriminator": _R3GAN,
    "learning_rate_end": 0.25,
    "held_out": HELD_OUT,
    "ema_images": 500_000,
    "mixing": 0.5,
    "precision": "auto",
    "minutes": 60,
    "measure_every": 100_000,
    "measure_samples": 2_000,
    "sheet_images": 50_000,
    "publish": "best",
    "enlarger_steps": ENLARGER_STEPS,
    "distillation_steps": DISTILLATION_STEPS,
    "growth": 2,
    "on_divergence": "rollback",
}

# For a budget of time on one card: a smaller discriminator, R1 now and then and a batch that a step
# learns enough from, so that there are many steps. Not run on a GPU yet (docs/training.md).
_BUDGET: dict[str, Any] = {
    **_GPU,
    "width": 24,
    "residuals": 2,
    "discriminator_width": 48,
    "feature_weight": 0.5,
    "noise": 3.0,
    "penalty": "r1",
    "gamma": 0.5,
    "gamma_end": 0.05,
    "batch": 128,
    "learning_rate_end": 0.1,
    "measure_every": 250_000,
    "sheet_images": 100_000,
}

_TWO_CORES: dict[str, Any] = {
    **FOR_LABELS,
    "network": "modern",
    "resolution": 64,
    "latent": 128,
    "style": 128,
    "width": 24,
    "discriminator_width": 16,
    "feature_weight": 0.5,
    "loss": "relativistic",
    "gamma": 2.0,
    "penalty_every": 8,
    "batch": 32,
    "generator": _MODERN,
    "discriminator": _MODERN,
    "held_out": HELD_OUT,
    "ema_images": 5_000,
    "precision": "auto",
    "minutes": 60,
    # A measurement takes about 8 s of two cores, so many images about 160.
    "measure_every": 30_000,
    "publish": "best",
    "enlarger_steps": ENLARGER_STEPS,
    "distillation_steps": DISTILLATION_STEPS,
    "growth": 2,
    "on_divergence": "rollback",
}

PRESETS: dict[str, dict[str, Any]] = {
    "classic": {
        "network": "classic",
        "resolution": 96,
        "latent": 100,
        "style": 0,
        "width": 64,
        "discriminator_width": 64,
        "loss": "bce",
        "gamma": 0.0,
        "batch": 100,
        "generator": _TUTORIAL,
        "discriminator": _TUTORIAL,
        "ema_images": 0,
        "epochs": 2500,
        "snapshot_seconds": 300,
        # The tutorial went on whatever its discriminator did.
        "on_divergence": "continue",
    },
    "modern-64": _TWO_CORES,
    # For drawn art: frozen features judge the lines, and noise hides the grain, which would else be
    # all that the trained discriminator looks at.
    "modern-64-flat": {
        **_TWO_CORES,
        "residuals": 2,
        "discriminator_width": 24,
        "feature_weight": 0.5,
        "noise": 8.0,
        "gamma_end": 0.2,
        "penalty_every": 16,
        "mixing": 0.5,
        "learning_rate_end": 0.05,
        "ema_images": 20_000,
    },
    **{
        f"modern-{resolution}-gpu": {**_GPU, "resolution": resolution, "width": width, **penalty}
        for resolution, width, penalty in (
            (64, 48, {"gamma": 2.0, "gamma_end": 0.2}),
            (96, 32, {"gamma": 7.0, "gamma_end": 0.7}),
            (128, 24, {"gamma": 17.0, "gamma_end": 1.7}),
        )
    },
    # An H100; draws what `modern-64-flat` draws, so it can go on from a model of that preset.
    "ten-minutes-gpu": {
        **_BUDGET,
        "resolution": 64,
        "penalty_every": 4,
        "generator": {**_R3GAN, "learning_rate": 6e-4},
        "discriminator": {**_R3GAN, "learning_rate": 6e-4},
        "ema_images": 30_000,
        "minutes": 8,
    },
    # A card of 24 GB.
    "hour-gpu": {
        **_BUDGET,
        "resolution": 128,
        "penalty_every": 4,
        "gamma": 2.0,
        "gamma_end": 0.2,
        "generator": {**_R3GAN, "learning_rate": 4e-4},
        "discriminator": {**_R3GAN, "learning_rate": 4e-4},
        "ema_images": 50_000,
        "minutes": 55,
    },
    # A card of 8 GB.
    "night-gpu": {
        **_BUDGET,
        "resolution": 128,
        "penalty_every": 8,
        "gamma": 2.0,
        "gamma_end": 0.2,
        "accumulation": 2,
        "generator": {**_R3GAN, "learning_rate": 3e-4},
        "discriminator": {**_R3GAN, "learning_rate": 3e-4},
        "ema_images": 100_000,
        "minutes": 480,
    },
    "smoke": {
        "network": "modern",
        "resolution": 16,
        "latent": 16,
        "style": 16,
        "width": 8,
        "discriminator_width": 8,
        "loss": "relativistic",
        "gamma": 1.0,
        "penalty_every": 4,
        "batch": 8,
        "generator": _MODERN,
        "discriminator": _MODERN,
        "ema_images": 200,
        "dataset_limit": 64,
        "images": 640,
        "sliders": False,
        "snapshot_seconds": 1,
        "sheet_images": 320,
        "threads": 1,
    },
}
