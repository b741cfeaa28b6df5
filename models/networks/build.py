"""From a recipe to its two networks."""

from torch import nn

from models.networks import classic, modern
from models.recipes import Recipe


def generator(recipe: Recipe) -> nn.Module:
    """z (N, recipe.latent) → images (N, 3, recipe.resolution, recipe.resolution)."""
    if recipe.network == "classic":
        return classic.Generator(recipe.latent)
    return modern.Generator(recipe.resolution, recipe.latent, recipe.style, recipe.width)


def discriminator(recipe: Recipe) -> nn.Module:
    """Images (N, 3, S, S) → (N,): scores, or probabilities for `classic`."""
    if recipe.network == "classic":
        return classic.Discriminator()
    return modern.Discriminator(recipe.resolution, recipe.discriminator_width)
