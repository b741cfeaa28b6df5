"""What a picture's file says of itself, and what lies around the face."""

import io
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from app.avatars.encode import provenance
from app.errors import Unidentified
from models import bundle

STILL = ["png", "webp", "jpeg", "avif", "apng", "gif", "svg"]
# A seed that would break out of XML, a header or a line, if anything let it.
HOSTILE = "\x00<'\"&>]]>-- \n\r\t%25;顔🦊‮" + "é" * 100


@pytest.mark.parametrize("format", STILL)
@pytest.mark.parametrize("seed", ["42", "", HOSTILE], ids=["plain", "empty", "hostile"])
def test_a_file_says_which_address_makes_it_again(
    faces, bundles: list[Path], tmp_path: Path, format, seed
) -> None:
    words = {"seed": seed, "size": 32, "format": format, "shape": "circle", "psi": 0.5}
    answer = faces.get("/avatar", params=words)
    file = tmp_path / "picture"
    file.write_bytes(answer.content)
    stamp = provenance.identify(file)
    assert stamp.model == bundle.digest(bundles[0]) == answer.headers["x-avatar-model"]
    told = provenance.parse_address(stamp)[1]
    assert (told["seed"], told["psi"], told["shape"]) == (seed, "0.5", "circle")
    assert faces.get(stamp.address).content == answer.content


@pytest.mark.parametrize("format", ["webp", "apng", "gif"])
def test_a_loop_says_so_too(faces, tmp_path: Path, format) -> None:
    answer = faces.get(f"/morph?from=a&to=b&frames=3&size=16&format={format}")
    file = tmp_path / "loop"
    file.write_bytes(answer.content)
    assert faces.get(provenance.identify(file).address).content == answer.content


@pytest.mark.parametrize("format", ["png", "webp", "jpeg", "avif", "svg"])
def test_a_file_says_that_a_model_made_it_in_iptcs_word(faces, format) -> None:
    body = faces.get(f"/avatar?seed=a&format={format}").content
    assert b"digitalsourcetype/trainedAlgorithmicMedia" in body


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", b"<svg/>", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"words"], ids=repr
)
def test_what_is_not_ours_is_said_to_be_so(tmp_path: Path, content) -> None:
    file = tmp_path / "other"
    file.write_bytes(content)
    with pytest.raises(Unidentified):
        provenance.identify(file)


def test_a_strangers_picture_is_not_ours(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "black.png")
    with pytest.raises(Unidentified):
        provenance.identify(tmp_path / "black.png")


def _picture(client, query):
    return Image.open(io.BytesIO(client.get(f"/avatar?seed=a&{query}").content))


@pytest.mark.parametrize("shape", ["circle", "rounded"])
@pytest.mark.parametrize("format", ["png", "webp", "avif", "apng", "gif"])
def test_outside_a_shape_there_is_nothing(faces, shape, format) -> None:
    image = _picture(faces, f"size=64&shape={shape}&format={format}").convert("RGBA")
    alpha = np.asarray(image)[..., 3]
    assert alpha[0, 0] == alpha[-1, -1] == 0
    assert min(alpha[32, 32], alpha[0, 32]) > 250
    plain = np.asarray(_picture(faces, f"size=64&format={format}").convert("RGB")).astype(int)
    # Losing formats write the pixels under another mask a little differently.
    inside = np.abs(np.asarray(image)[16:48, 16:48, :3].astype(int) - plain[16:48, 16:48])
    assert inside.mean() < 4


@pytest.mark.parametrize(
    ("query", "corner"),
    [
        ("format=jpeg&shape=circle", (255, 255, 255)),
        ("format=jpeg&shape=circle&backdrop=00f", (0, 0, 255)),
        ("format=png&shape=rounded&backdrop=%23FF8000", (255, 128, 0)),
        ("format=webp&shape=circle&backdrop=ff8000", (255, 128, 0)),
    ],
)
def test_a_backdrop_lies_beneath(faces, query, corner) -> None:
    image = _picture(faces, f"size=128&{query}")
    assert image.mode == "RGB"
    assert np.abs(np.subtract(image.getpixel((1, 1)), corner)).max() < 12


def test_an_svg_is_one_with_its_size_and_its_shape(faces) -> None:
    answer = faces.get("/avatar?seed=a&size=300&shape=circle&format=svg")
    root = ElementTree.fromstring(answer.content)
    name = "{http://www.w3.org/2000/svg}"
    assert (root.tag, root.get("width"), root.get("height")) == (f"{name}svg", "300", "300")
    assert root.find(f"{name}clipPath/{name}circle") is not None
    assert len(list(root.iter(f"{name}path"))) > 3
    assert b"<script" not in answer.content
    assert answer.headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize(("query", "side"), [("size=64&dpr=2", 128), ("size=33&dpr=1.5", 50)])
def test_dpr_multiplies_the_size(faces, query, side) -> None:
    assert _picture(faces, query).size == (side, side)
