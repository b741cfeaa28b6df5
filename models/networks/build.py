"""From a recipe to its two networks."""

from collections.abc import Sequence

from torch import nn

from models.faces.attributes import Attribute
from models.networks import classic, modern
from models.recipes.recipe import Recipe


def generator(recipe: Recipe, attributes: Sequence[Attribute] = ()) -> nn.Module:
    """z (N, recipe.latent + attributes) → images (N, 3, recipe.resolution, recipe.resolution)."""
    if recipe.network == "classic":
        return classic.Generator(recipe.latent)
    return modern.Generator(
        recipe.resolution,
        recipe.latent,
        recipe.style,
        recipe.width,
        attributes,
        recipe.flatten,
        recipe.residuals,
    )


def discriminator(recipe: Recipe, attributes: Sequence[Attribute] = ()) -> nn.Module:
    """Images (N, 3, S, S), and labels where there are some → (N,): scores, or probabilities
    for `classic`.
    """
    if recipe.network == "classic":
        return classic.Discriminator()
    labels = sum(len(attribute.values) for attribute in attributes)
    has_classifier = bool(labels and recipe.label_weight)
    width = recipe.discriminator_width
    return modern.Discriminator(recipe.resolution, width, labels, has_classifier)
