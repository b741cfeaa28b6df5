"""A seed gives one face, and its headers say how long caches may keep it."""

import io
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from app.avatars.formats import STILL
from app.http import cache_headers
from app.main import create_app
from models.bundle import verify
from models.faces import latents
from models.registry import Registry
from models.settings import Settings
from tests.support.app_client import state_of
from tests.support.pictures import get_image


def test_a_seed_is_the_same_bytes_again_and_after_a_restart(
    client: TestClient, settings: Settings
) -> None:
    first = client.get("/avatar?seed=42")
    assert client.get("/avatar?seed=42").content == first.content
    assert client.get("/avatar?seed=43").content != first.content
    with TestClient(create_app(settings)) as again:
        assert again.get("/avatar?seed=42").content == first.content


def test_the_pixels_are_the_models(
    client: TestClient, registry: Registry, versions: list[str]
) -> None:
    pixels = np.asarray(get_image(client, "/avatar?seed=42&size=16"))
    drawer = verify.verify(registry.folder(versions[0]), versions[0])
    z = latents.derive("42", drawer.card.network.latent)
    assert np.array_equal(pixels, drawer.draw(z[None], 1.0)[0])


@pytest.mark.parametrize("size", [16, 100, 1024])
@pytest.mark.parametrize("format", [name for name in STILL if name not in ("apng", "svg")])
def test_every_format_in_every_size(client: TestClient, size: int, format: str) -> None:
    answer = client.get(f"/avatar?seed=a&size={size}&format={format}")
    image = Image.open(io.BytesIO(answer.content))
    assert (image.size, image.format) == ((size, size), format.upper())
    assert answer.headers["content-type"] == f"image/{format}"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["access-control-allow-origin"] == "*"


def test_the_default_is_a_png_of_128(client: TestClient) -> None:
    image = get_image(client, "/avatar?seed=a")
    assert (image.size, image.format) == ((128, 128), "PNG")


def test_psi_changes_the_face_and_0_is_one_face_for_all(client: TestClient) -> None:
    bodies = {psi: client.get(f"/avatar?seed=a&psi={psi}").content for psi in ("0", "0.5", "1")}
    assert len(set(bodies.values())) == 3
    other = np.asarray(get_image(client, "/avatar?seed=b&psi=0"))
    assert np.array_equal(other, np.asarray(Image.open(io.BytesIO(bodies["0"]))))
    assert client.get("/avatar?seed=a&psi=1.0").content == bodies["1"]


@pytest.mark.parametrize(
    ("path", "seed", "format"),
    [
        ("/avatar/42.png", "42", "PNG"),
        ("/avatar/42.jpg", "42", "JPEG"),
        ("/avatar/42.WEBP", "42", "WEBP"),
        ("/avatar/john.doe.jpeg", "john.doe", "JPEG"),
        ("/avatar/42", "42", "PNG"),
        ("/avatar/random.png", "random", "PNG"),
        ("/avatar/%E9%A1%94.png", "顔", "PNG"),
        ("/avatar/a%2Fb.png", "a/b", "PNG"),
        ("/%61vatar/ada%20b.png", "ada b", "PNG"),
        ("/%61vatar/a/avatar/b.png", "a/avatar/b", "PNG"),
        ("/avatar/a+b.png", "a+b", "PNG"),
        ("/avatar/.png", "", "PNG"),
        ("/avatar/42.png?format=webp", "42", "PNG"),
    ],
)
def test_a_path_is_a_seed_and_an_extension(
    client: TestClient, path: str, seed: str, format: str
) -> None:
    answer = client.get(path)
    assert Image.open(io.BytesIO(answer.content)).format == format
    assert unquote(answer.headers["x-avatar-seed"]) == seed
    query_response = client.get("/avatar", params={"seed": seed, "format": format.lower()})
    assert answer.content == query_response.content


@pytest.mark.parametrize("path", ["/avatar/42.bmp", "/avatar/john.doe", "/avatar/42."])
def test_an_unknown_extension_is_404(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "png" in answer.json()["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/avatar/%ff.png",
        "/avatar/1.png?seed=2",
        "/avatar/1.png?format=bmp",
        "/avatar/random?seed=2",
    ],
)
def test_a_path_is_parsed_as_strictly(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 422


def test_no_seed_is_a_new_face_each_time_and_names_its_seed(client: TestClient) -> None:
    first, second = client.get("/avatar"), client.get("/avatar")
    assert first.headers["x-avatar-seed"] != second.headers["x-avatar-seed"]
    for answer in (first, second):
        assert answer.headers["cache-control"] == "no-store"
        assert "etag" not in answer.headers
        assert (
            client.get(f"/avatar?seed={answer.headers['x-avatar-seed']}").content == answer.content
        )
        assert client.get(answer.headers["content-location"]).content == answer.content


def test_the_empty_seed_is_a_seed(client: TestClient) -> None:
    answer = client.get("/avatar?seed=")
    assert answer.headers["x-avatar-seed"] == ""
    assert "no-store" not in answer.headers["cache-control"]
    assert client.get("/avatar?seed=").content == answer.content


def test_random_redirects_to_a_seed(client: TestClient) -> None:
    answers = [client.get("/avatar/random?size=32", follow_redirects=False) for _ in range(2)]
    for answer in answers:
        assert answer.status_code == 302
        assert answer.headers["cache-control"] == "no-store"
        assert get_image(client, answer.headers["location"]).size == (32, 32)
    assert answers[0].headers["location"] != answers[1].headers["location"]
    slash = client.get("/avatar/random/?size=32", follow_redirects=False)
    assert slash.status_code == 302
    assert slash.headers["location"].startswith("/avatar?")


def test_head_is_get_without_the_body(client: TestClient) -> None:
    head, get = client.head("/avatar?seed=1"), client.get("/avatar?seed=1")
    assert head.status_code == 200
    assert head.headers["content-length"] == str(len(get.content))
    assert head.headers["etag"] == get.headers["etag"]


def test_only_a_pinned_version_is_immutable(client: TestClient, versions: list[str]) -> None:
    for model, expected in [
        ("default", cache_headers.MUTABLE),
        (versions[0][:12], cache_headers.MUTABLE),
        (versions[0], cache_headers.IMMUTABLE),
    ]:
        answer = client.get("/avatar", params={"seed": "1", "model": model})
        assert answer.headers["cache-control"] == expected
        assert answer.headers["x-avatar-model"] == versions[0]


@pytest.mark.parametrize(
    "shape", ["{tag}", "*", '"other", {tag}', "{strong}", 'W/"x",{tag} , "y"'], ids=repr
)
def test_a_matching_etag_is_304_without_drawing(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, shape: str
) -> None:
    tag = client.get("/avatar?seed=1").headers["etag"]
    assert tag.startswith('W/"')
    monkeypatch.setattr(state_of(client).engine, "draw", None)
    header = shape.format(tag=tag, strong=tag.removeprefix("W/"))
    answer = client.get("/avatar?seed=1", headers={"If-None-Match": header})
    assert answer.status_code == 304
    assert answer.content == b""
    assert answer.headers["etag"] == tag
    assert answer.headers["cache-control"] == cache_headers.MUTABLE


@pytest.mark.parametrize(
    "other", ["seed=2", "seed=1&size=64", "seed=1&psi=0.5", "seed=1&format=webp"]
)
def test_other_parameters_have_another_etag(client: TestClient, other: str) -> None:
    tag = client.get("/avatar?seed=1").headers["etag"]
    assert client.get(f"/avatar?{other}", headers={"If-None-Match": tag}).status_code == 200


def test_accept_chooses_and_caches_vary_by_it(client: TestClient) -> None:
    response = client.get("/avatar?seed=1", headers={"Accept": "image/webp"})
    assert response.headers["content-type"] == "image/webp"
    assert response.headers["vary"] == "Accept"
    explicit = client.get("/avatar?seed=1&format=png", headers={"Accept": "image/webp"})
    assert explicit.headers["content-type"] == "image/png"
    assert "vary" not in explicit.headers
