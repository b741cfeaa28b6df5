"""A requested trait is visible, and the rest of the face stays."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.testclient import TestClient

from app.auth import signed_urls
from app.avatars import gravatar
from app.avatars.request.picture_types import PICTURE_TYPES, PictureType
from models import bundle
from models.faces.attributes import RESERVED_NAMES
from tests.support.pictures import decode, get_pixels

PLAIN = "/avatar?seed={}&size=16&psi=0.7"


def _halves(client: TestClient, address: str) -> tuple[NDArray[np.float64], float]:
    """The mean colour of the left half, and the mean brightness of the right half."""
    pixels = get_pixels(client, address)
    middle = pixels.shape[1] // 2
    return pixels[:, : middle - 2].mean((0, 1)), float(pixels[:, middle + 2 :].mean())


def _redness(colour: NDArray[np.float64]) -> float:
    return float(colour[0] - colour[2])


@pytest.mark.parametrize("seed", range(4))
def test_a_trait_is_shown_and_the_other_stays(choosy: TestClient, seed: int) -> None:
    plain = PLAIN.format(seed)
    red, beside = _halves(choosy, f"{plain}&colour=red&light=light")
    blue, other = _halves(choosy, f"{plain}&colour=blue&light=light")
    _, dark = _halves(choosy, f"{plain}&colour=blue&light=dark")
    assert _redness(red) - _redness(blue) > 60
    assert abs(beside - other) < 60 < other - dark


def test_one_of_the_values_is_the_seeds_own_face(choosy: TestClient) -> None:
    # The value's number is another than the seed's, but it chooses the same.
    plain = choosy.get(PLAIN.format(1)).content
    bodies = {choosy.get(f"{PLAIN.format(1)}&colour={value}").content for value in ("red", "blue")}
    assert len(bodies) == 2
    pixels = [decode(body) for body in (plain, *bodies)]
    assert sum(np.array_equal(pixels[0], other) for other in pixels[1:]) == 1


@pytest.mark.parametrize(
    "picture_type", PICTURE_TYPES, ids=lambda picture_type: picture_type.path[1:]
)
def test_every_picture_takes_traits(choosy: TestClient, picture_type: PictureType) -> None:
    bodies = []
    for colour in ("red", "blue"):
        answer = choosy.get(f"{picture_type.example}&colour={colour}")
        assert answer.status_code == 200, answer.text
        bodies.append(answer.content)
        tag = answer.headers["etag"]
        again = {"If-None-Match": tag}
        assert (
            choosy.get(f"{picture_type.example}&colour={colour}", headers=again).status_code == 304
        )
        assert choosy.get(f"{picture_type.example}&colour=red", headers=again).status_code == (
            304 if colour == "red" else 200
        )
    assert bodies[0] != bodies[1]


@pytest.mark.parametrize(
    "address",
    [
        "/avatar?seed=a&variant=3",
        "/morph?from=a&to=b&t=0.5",
        "/mix?coarse=a&fine=b",
        "/blend?seeds=a,b",
        "/sheet?seeds=a,b",
        "/family?parents=a,b",
        "/family?parents=a,b&child=1",
    ],
)
def test_what_has_several_faces_shows_it_in_all(choosy: TestClient, address: str) -> None:
    size = "&size=16&psi=0.7&light=light"
    if address in ("/family?parents=a,b", "/sheet?seeds=a,b"):
        size += "&columns=1"
    red, _ = _halves(choosy, f"{address}{size}&colour=red")
    blue, _ = _halves(choosy, f"{address}{size}&colour=blue")
    assert _redness(red) - _redness(blue) > 60


def test_an_order_makes_no_other_picture(choosy: TestClient) -> None:
    one = choosy.get("/avatar?seed=a&light=dark&colour=red")
    other = choosy.get("/avatar?colour=red&light=dark&seed=a")
    assert one.headers["etag"] == other.headers["etag"]


def test_a_random_face_keeps_the_traits(choosy: TestClient) -> None:
    answer = choosy.get("/avatar?colour=red&light=dark")
    place = answer.headers["content-location"]
    assert "colour=red&light=dark" in place
    assert choosy.get(place).content == answer.content
    redirect = choosy.get("/avatar/random?colour=red", follow_redirects=False)
    assert "colour=red" in redirect.headers["location"]


def test_a_path_and_a_batch_take_traits(choosy: TestClient) -> None:
    direct = choosy.get("/avatar?seed=a&colour=red&format=png").content
    assert choosy.get("/avatar/a.png?colour=red").content == direct
    lines = {"Accept": "application/x-ndjson"}
    body = {"seeds": ["a", "b"], "colour": "red", "distinct": True}
    answer = choosy.post("/avatars", json=body, headers=lines)
    for line in answer.text.splitlines():
        assert "colour=red" in line


@pytest.mark.parametrize(
    ("query", "parameter", "allowed"),
    [
        pytest.param("colour=green", "colour", ["red", "blue"], id="a-value-without-images"),
        pytest.param("colour=pink", "colour", ["red", "blue"], id="an-unknown-value"),
        pytest.param("colour=", "colour", ["red", "blue"], id="no-value"),
        pytest.param("colour=red&colour=red", "colour", "once", id="twice"),
        pytest.param("hat=yes", "hat", ["seed", "colour", "light"], id="an-unknown-trait"),
    ],
)
@pytest.mark.parametrize(
    "path", ["/avatar?seed=a&", "/avatar/a.png?", "/avatar/random?", "/avatar?"]
)
def test_a_trait_that_the_model_lacks_is_named_with_those_it_has(
    choosy: TestClient, path: str, query: str, parameter: str, allowed: str | list[str]
) -> None:
    answer = choosy.get(path + query, follow_redirects=False)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["parameter"] == parameter
    if isinstance(allowed, list):
        assert set(allowed) <= set(problem["allowed"])
    else:
        assert problem["allowed"] == allowed


@pytest.mark.parametrize("body", [{"hat": "yes"}, {"colour": "pink"}, {"colour": None}])
def test_a_batch_names_it_too(choosy: TestClient, body: Any) -> None:
    answer = choosy.post("/avatars", json={"seeds": ["a"], **body})
    assert (answer.status_code, [answer.json()["parameter"]]) == (422, list(body))


def test_a_model_without_traits_says_so(choosy: TestClient, bundles: list[Path]) -> None:
    plain = bundle.digest(bundles[0])
    answer = choosy.get(f"/avatar?seed=a&colour=red&model={plain}")
    assert answer.status_code == 422
    assert "this model has no traits" in answer.json()["detail"]
    assert choosy.get(f"/models/{plain}").json()["traits"] == {}


def test_a_model_without_the_served_ones_traits_is_promoted_only_by_force(
    choosy: TestClient, bundles: list[Path], key: dict[str, str]
) -> None:
    plain = bundle.digest(bundles[0])
    default = choosy.get("/models/default").json()["version"]
    # Losing the traits of a default that was never promoted needs no force.
    for name in (plain, default):
        assert choosy.post(f"/models/{name}/promote", headers=key).status_code == 200
    answer = choosy.post(f"/models/{plain}/promote", headers=key)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:kao:problem:lost-traits")
    assert "colour=red, colour=blue, light=dark" in answer.json()["detail"]
    assert choosy.get("/avatar?seed=a&colour=red").status_code == 200
    response = choosy.post(f"/models/{plain}/promote?force=true", headers=key)
    assert (response.status_code, response.json()["version"]) == (200, plain)
    assert choosy.get("/avatar?seed=a&colour=red").status_code == 422
    # What gains traits loses none.
    assert choosy.post("/models/latest/promote", headers=key).status_code == 200


def test_a_model_lists_its_traits(choosy: TestClient) -> None:
    traits = choosy.get("/models/default").json()["traits"]
    assert {name: (schema["type"], schema["enum"]) for name, schema in traits.items()} == {
        "colour": ("string", ["red", "blue"]),
        "light": ("string", ["dark", "grey", "light"]),
    }
    assert all(schema["description"] for schema in traits.values())


def test_no_trait_has_the_name_of_a_parameter() -> None:
    parameters = {name for picture_type in PICTURE_TYPES for name in picture_type.names}
    other_names = {
        "seeds",
        "distinct",
        *signed_urls.NAMES,
        *gravatar.ALIASES,
        *gravatar.ALIASES.values(),
    }
    assert parameters | other_names <= RESERVED_NAMES
