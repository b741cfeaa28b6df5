"""A team's faces differ, and earlier members keep theirs."""

import pytest

from app.avatars import traits
from app.avatars.bulk.distinct import MOST_VARIANTS, SIMILAR, Team
from app.avatars.request.picture_request import PictureRequest
from app.avatars.request.picture_types import AVATAR
from models.bundle import verify
from models.bundle.generator import Drawer
from models.registry import Registry


@pytest.fixture
def drawer(registry: Registry, versions: list[str]) -> Drawer:
    """The first model."""
    return verify.verify(registry.folder(versions[0]), versions[0])


def _variant(team: Team, seed: str, **texts: str) -> int:
    request = PictureRequest.parse(AVATAR, {"seed": seed, **texts})
    request = traits.resolve(request, team.drawer.card)
    any(team.offer(team.try_variant(request, variant)) for variant in range(MOST_VARIANTS))
    variant: int = team.take().request.values["variant"]
    return variant


def test_a_team_shares_no_face(drawer: Drawer) -> None:
    team = Team(drawer)
    first, second, third = (_variant(team, seed) for seed in ("a", "a", "a"))
    assert first == 0
    assert len({first, second, third}) == 3


def test_earlier_members_keep_their_faces(drawer: Drawer) -> None:
    alone, together = Team(drawer), Team(drawer)
    before = [_variant(alone, seed) for seed in "abcdef"]
    assert [_variant(together, seed) for seed in "abcdefgh"][:6] == before


def test_of_equal_faces_the_first_variant_is_taken(drawer: Drawer) -> None:
    team = Team(drawer)
    # The average face, for any seed.
    assert [_variant(team, seed, psi="0") for seed in "ab"] == [0, 0]
    assert SIMILAR > 0
