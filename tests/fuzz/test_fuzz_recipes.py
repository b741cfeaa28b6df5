"""Any JSON that asks for a run is a whole recipe or a refusal that names its fields."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st

from models import recipe_inheritance
from models.errors import InvalidRecipe, UnknownPreset
from models.recipes.presets import PRESETS
from models.recipes.recipe import Recipe
from tests.fuzz.empty_store import empty

OFTEN = settings(deadline=None, suppress_health_check=list(HealthCheck))
FIELDS = st.sampled_from([*Recipe.model_fields, "start_from"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
WORDS = st.sampled_from([*PRESETS, "starter", "latest", "modern", "learning_rate", 64, 1, 1e308])
JSON = st.recursive(
    LEAVES | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(), inner),
    max_leaves=6,
)


@OFTEN
@given(body=st.dictionaries(FIELDS | st.text(max_size=9), JSON, max_size=6))
def test_any_body_is_a_recipe_or_a_refusal(body: dict[str, Any]) -> None:
    engine, registry = empty()
    try:
        recipe = recipe_inheritance.resolve(engine, registry, body)
    except (InvalidRecipe, UnknownPreset):
        return
    fields = json.loads(json.dumps(recipe.model_dump(mode="json"), allow_nan=False))
    assert Recipe.model_validate(fields) == recipe
