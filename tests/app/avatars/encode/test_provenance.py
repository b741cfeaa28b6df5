"""A picture's metadata, and what is around the face."""

from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from app.avatars.encode import provenance
from app.avatars.formats import STILL
from app.errors import NoProvenance
from models import bundle

# A seed that would break out of XML, a header or a line, if anything let it.
HOSTILE = "\x00<'\"&>]]>-- \n\r\t%25;顔🦊‮" + "é" * 100


@pytest.mark.parametrize("format", STILL)
@pytest.mark.parametrize("seed", ["42", "", HOSTILE], ids=["plain", "empty", "hostile"])
def test_a_file_says_which_address_makes_it_again(
    faces: TestClient, bundles: list[Path], tmp_path: Path, format: str, seed: str
) -> None:
    query: dict[str, str | int | float] = {
        "seed": seed,
        "size": 32,
        "format": format,
        "shape": "circle",
        "psi": 0.5,
    }
    answer = faces.get("/avatar", params=query)
    file = tmp_path / "picture"
    file.write_bytes(answer.content)
    stamp = provenance.identify(file)
    assert stamp.model == bundle.digest(bundles[0]) == answer.headers["x-avatar-model"]
    parameters = provenance.parse_address(stamp)[1]
    assert (parameters["seed"], parameters["psi"], parameters["shape"]) == (seed, "0.5", "circle")
    assert faces.get(stamp.address).content == answer.content


@pytest.mark.parametrize("format", ["webp", "apng", "gif"])
def test_a_loop_names_its_address_too(faces: TestClient, tmp_path: Path, format: str) -> None:
    answer = faces.get(f"/morph?from=a&to=b&frames=3&size=16&format={format}")
    file = tmp_path / "loop"
    file.write_bytes(answer.content)
    assert faces.get(provenance.identify(file).address).content == answer.content


@pytest.mark.parametrize("format", [name for name in STILL if name != "gif"])
def test_a_file_says_that_a_model_made_it_in_iptcs_word(faces: TestClient, format: str) -> None:
    body = faces.get(f"/avatar?seed=a&format={format}").content
    assert b"digitalsourcetype/trainedAlgorithmicMedia" in body


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", b"<svg/>", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"words"], ids=repr
)
def test_a_file_without_metadata_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "other"
    file.write_bytes(content)
    with pytest.raises(NoProvenance):
        provenance.identify(file)


def test_a_picture_of_another_program_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "black.png")
    with pytest.raises(NoProvenance):
        provenance.identify(tmp_path / "black.png")


def test_an_xmp_packet_is_found_where_pillow_does_not_read_it(tmp_path: Path) -> None:
    file, stamp = tmp_path / "face.bmp", provenance.Stamp("0" * 64, "/avatar?seed=a&size=64")
    Image.new("RGB", (8, 8)).save(file)
    file.write_bytes(file.read_bytes() + stamp.xmp())
    assert provenance.identify(file) == stamp
