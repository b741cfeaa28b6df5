"""Formats have the costs of every layout that requests can ask for."""

from app.avatars.formats import FACE, FORMATS
from app.avatars.request.picture_types import PICTURE_TYPES


def test_every_layout_has_a_cost_in_each_of_its_formats_and_in_no_other() -> None:
    pairs = {(kind.layout, name) for kind in PICTURE_TYPES for name in kind.formats}
    singles = {("face", name) for name in FACE}
    costs = {(layout, name) for name, row in FORMATS.items() for layout in row.costs}
    assert pairs | singles == costs
