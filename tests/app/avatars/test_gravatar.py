"""Gravatar's and Libravatar's own clients find faces here."""

import hashlib
import io
from urllib.parse import urlsplit

import libravatar
import numpy as np
import pytest
from libgravatar import Gravatar
from PIL import Image
from starlette.testclient import TestClient

from tests.support.pictures import decode, get_image

MD5 = hashlib.md5(b"ada@example.com").hexdigest()
SHA256 = hashlib.sha256(b"ada@example.com").hexdigest()


def _size(body: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(body)) as image:
        return image.size


def _local(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def test_libgravatar_gets_the_face_of_its_hash(client: TestClient) -> None:
    url = Gravatar("Ada@Example.com ").get_image(
        size=200, default="identicon", rating="pg", filetype_extension=True
    )
    answer = client.get(_local(url))
    assert _size(answer.content) == (200, 200)
    assert answer.headers["x-avatar-seed"] == MD5
    assert answer.headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize(
    "query", [{"email": "Ada@example.com"}, {"openid": "https://example.com/ada"}]
)
@pytest.mark.parametrize("https", [True, False])
def test_libravatar_gets_the_face_of_its_hash(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, https: bool, query: dict[str, str]
) -> None:
    # Libravatar finds a domain's server by DNS; this one's record names us.
    monkeypatch.setattr(libravatar, "lookup_avatar_server", lambda *_: "faces.example.com")
    url = libravatar.libravatar_url(https=https, size=64, default="mm", **query)
    assert urlsplit(url).netloc == "faces.example.com"
    answer = client.get(_local(url))
    assert _size(answer.content) == (64, 64)
    assert len(answer.headers["x-avatar-seed"]) == (32 if "email" in query else 64)


@pytest.mark.parametrize("hash", [MD5, SHA256, MD5.upper()])
@pytest.mark.parametrize("extension", ["", ".png", ".jpg", ".webp", ".GIF"])
def test_a_hash_is_a_seed_in_small_letters(client: TestClient, hash: str, extension: str) -> None:
    answer = client.get(f"/avatar/{hash}{extension}")
    assert _size(answer.content) == (80, 80)
    assert answer.headers["x-avatar-seed"] == hash.lower()


@pytest.mark.parametrize(
    ("query", "side"),
    [
        ("s=200", 200),
        ("size=200", 200),
        ("s=1", 16),
        ("s=15", 16),
        ("s=1024", 1024),
        ("s=1025", 1024),
        ("s=2048", 1024),
        ("s=1000000000", 80),
        ("s=999999999", 1024),
        ("s=0", 80),
        ("s=-1", 80),
        ("s=abc", 80),
        ("s=", 80),
        ("s=64&s=32", 32),
        ("s=40px", 40),
        ("s=40.5", 40),
        ("s=+40", 40),
        ("s=%2B040", 40),
        ("s=٤٠", 80),
        ("psi=9&unknown=1&r=x&%ff=%ff&s=32", 32),
    ],
)
def test_sizes_are_clamped_and_nothing_is_refused(
    client: TestClient, query: str, side: int
) -> None:
    assert get_image(client, f"/avatar/{MD5}?{query}").size == (side, side)
    for address in ("/avatar.php", "/avatar"):
        assert get_image(client, f"{address}?gravatar_id={MD5}&{query}").size == (side, side)
    assert get_image(client, f"/avatar/?{query}").size == (side, side)


@pytest.mark.parametrize(
    "default", ["404", "mp", "blank", "identicon", "https://evil.example/a.png", "nonsense", ""]
)
def test_a_default_is_silent_unless_forced(client: TestClient, default: str) -> None:
    plain = client.get(f"/avatar/{MD5}")
    assert client.get(f"/avatar/{MD5}", params={"d": default}).content == plain.content


@pytest.mark.parametrize(
    "default", ["identicon", "monsterid", "wavatar", "retro", "robohash", "RETRO"]
)
def test_forced_defaults_that_are_drawn_are_the_face(client: TestClient, default: str) -> None:
    answer = client.get(f"/avatar/{MD5}?f=y&d={default}")
    assert answer.content == client.get(f"/avatar/{MD5}").content


@pytest.mark.parametrize("default", ["mp", "mm", "nonsense", "https://evil.example/a.png", None])
def test_other_forced_defaults_are_the_average_face_and_never_a_redirect(
    client: TestClient, default: str | None
) -> None:
    query = {"forcedefault": "y", **({} if default is None else {"default": default})}
    answer = client.get(f"/avatar/{MD5}", params=query, follow_redirects=False)
    average = client.get("/avatar?seed=x&psi=0&size=80")
    assert answer.status_code == 200
    assert np.array_equal(decode(answer.content), decode(average.content))


def test_a_forced_404_is_one(client: TestClient) -> None:
    answer = client.get(f"/avatar/{MD5}?d=404&f=y")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("extension", ["png", "webp", "avif", "gif", "apng"])
def test_a_forced_blank_is_transparent(client: TestClient, extension: str) -> None:
    image = get_image(client, f"/avatar/{MD5}.{extension}?d=blank&f=y&s=20").convert("RGBA")
    assert image.size == (20, 20)
    assert image.getchannel("A").getextrema() == (0, 0)


def test_a_forced_blank_has_device_pixels(client: TestClient) -> None:
    assert get_image(client, f"/avatar/{MD5}?d=blank&f=y&s=80&dpr=2").size == (160, 160)


def test_a_forced_blank_without_transparency_is_white(client: TestClient) -> None:
    assert get_image(client, f"/avatar/{MD5}.jpg?d=blank&f=y").getextrema() == ((255, 255),) * 3
    assert client.get(f"/avatar/{MD5}.svg?d=blank&f=y").headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize("address", [f"{MD5}?format=json", f"{SHA256}.json"])
def test_a_hash_has_a_description(client: TestClient, address: str) -> None:
    answer = client.get(f"/avatar/{address}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["seed"] == address[:32] + (address[32:64] if "." in address else "")


def test_a_model_may_be_pinned(client: TestClient, versions: list[str]) -> None:
    answer = client.get(f"/avatar/{MD5}?model={versions[0]}")
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize("name", [MD5[:-1], MD5 + "0", "g" * 32, SHA256 + ".tar.gz"])
def test_what_is_no_hash_is_a_seed(client: TestClient, name: str) -> None:
    answer = client.get(f"/avatar/{name}?s=80")
    assert answer.status_code in (404, 422)
