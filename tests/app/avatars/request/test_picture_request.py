"""A request's address names exactly its picture, and a new parameter changes no other address."""

from dataclasses import replace

import pytest

from app.avatars import traits
from app.avatars.request import costs
from app.avatars.request.parameters import choice
from app.avatars.request.picture_request import PictureRequest, parse_query
from app.avatars.request.picture_types import AVATAR, PICTURE_TYPES, PictureType
from models import bootstrap, bundle

every_type = pytest.mark.parametrize("picture_type", PICTURE_TYPES, ids=lambda row: row.name)
# The first model: its card has no psi of its own.
CARD = bundle.Card.model_validate(bundle.read_card(bootstrap.shipped_bundles()[-1]))
MIRROR = choice("mirror", ["no", "yes"], "Swap left and right.", default="no")


def _parse(picture_type: PictureType, address: str) -> PictureRequest:
    query = address.partition("?")[2].encode()
    return parse_query(picture_type, query, None)[0]


@pytest.mark.parametrize(
    ("address", "canonical"),
    [
        (
            "/avatar?seed=42",
            "/avatar?seed=42&size=128&dpr=1&shape=square&backdrop=transparent&psi=1&variant=0"
            "&best_of=1&format=png",
        ),
        (
            "/avatar?age=0.5&dpr=2.0&backdrop=%23F80&size=64&seed=a%20b",
            "/avatar?seed=a%20b&size=64&dpr=2&shape=square&backdrop=ff8800&psi=1&variant=0"
            "&best_of=1&age=0.5&format=png",
        ),
        (
            "/walk?seed=a",
            "/walk?seed=a&stops=4&frames=48&fps=20&ease=sine&size=128&dpr=1&shape=square"
            "&backdrop=transparent&psi=1&format=webp",
        ),
        (
            "/blend?seeds=ada:2,grace",
            "/blend?seeds=ada:2,grace:1&size=128&dpr=1&shape=square&backdrop=transparent&psi=1"
            "&format=png",
        ),
        (
            "/sheet?count=4",
            "/sheet?count=4&start=0&gap=0&size=96&dpr=1&shape=square&backdrop=transparent&psi=1"
            "&format=png",
        ),
    ],
)
def test_the_canonical_form_is_that_of_version_0_1(address: str, canonical: str) -> None:
    """It is in the ETags and in the files of every picture, so it never changes."""
    path = address.partition("?")[0]
    (picture_type,) = (row for row in PICTURE_TYPES if row.path == path)
    assert traits.resolve(_parse(picture_type, address), CARD).canonical == canonical


@every_type
def test_an_address_parses_to_its_own_request(picture_type: PictureType) -> None:
    request = _parse(picture_type, picture_type.example)
    again = _parse(picture_type, request.address())
    assert again.values == request.values
    assert again.address() == request.address()


@every_type
def test_a_new_parameter_changes_no_address_where_it_has_its_default(
    picture_type: PictureType,
) -> None:
    newer = replace(picture_type, parameters=(*picture_type.parameters, MIRROR))
    request = _parse(picture_type, picture_type.example)
    implicit = _parse(newer, picture_type.example)
    explicit = _parse(newer, f"{picture_type.example}&mirror=no")
    assert implicit.canonical == explicit.canonical == request.canonical
    other = _parse(newer, f"{picture_type.example}&mirror=yes")
    assert "mirror=yes" in other.canonical
    assert _parse(newer, other.address()).values == other.values


@pytest.mark.parametrize(
    ("address", "units"),
    [
        ("/avatar?seed=a", 1),
        ("/avatar?seed=a&size=256&format=webp", 1),
        ("/avatar?seed=a&size=1024&format=avif", 15),
        ("/avatar?seed=a&best_of=4", 4),
        ("/avatar?seed=a&age=0", 2),
        ("/avatar?seed=a&age=0&best_of=16", 13),
        ("/morph?from=a&to=b", 32),
        ("/morph?from=a&to=b&t=0", 1),
        ("/walk?seed=a&frames=9", 9),
        ("/walk?seed=a&frames=64&size=512&format=gif", 77),
        ("/grow?seed=a&frames=9", 18),
        ("/mix?coarse=a&fine=b", 1),
        ("/blend?seeds=a,b,c", 1),
        ("/family?parents=a,b", 6),
        ("/family?parents=a,b&child=5", 1),
        ("/sheet?count=7", 7),
        ("/sheet?seeds=a,b,c", 3),
        ("/sheet?count=100&size=404&format=avif", 477),
        ("/og?seed=a&best_of=2", 3),
    ],
)
def test_a_request_is_charged_for_its_estimated_time(address: str, units: int) -> None:
    path = address.partition("?")[0]
    (picture_type,) = (row for row in PICTURE_TYPES if row.path == path)
    assert _parse(picture_type, address).estimate().units == units


@pytest.mark.parametrize("picture_type", PICTURE_TYPES, ids=lambda row: row.name)
def test_every_type_has_a_measured_cost_in_every_format(picture_type: PictureType) -> None:
    for format in picture_type.formats:
        request = _parse(picture_type, f"{picture_type.example}&format={format}")
        assert request.estimate().milliseconds > costs.FACE
        assert request.estimate().bytes > costs.FIXED_BYTES


def test_a_random_face_is_not_repeatable() -> None:
    first, is_repeatable = parse_query(AVATAR, b"size=64", None)
    second, _ = parse_query(AVATAR, b"size=64", None)
    assert not is_repeatable
    assert first.seed != second.seed
    assert parse_query(AVATAR, b"size=64&seed=", None)[1]
