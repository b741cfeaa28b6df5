"""What browsers load of a model, and how it travels."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.local import model_packing
from app.rate_limits.limiter import Limiter
from app.registry import browser
from models import bundle
from models.bundle import weight_grid
from models.registry import Registry
from tests.support.enlargers import add_enlarger


def unpack(packed_bytes: bytes) -> bytes:
    """The original of a packed file, by the words of model_packing.py alone."""
    length = int.from_bytes(packed_bytes[:4], "little")
    header = json.loads(packed_bytes[4 : 4 + length])
    place, end, original = 4 + length, 0, bytearray()
    for tensor in header["tensors"]:
        gap = tensor["at"] - end
        original += packed_bytes[place : place + gap] + bytes(4 * tensor["count"])
        place, end = place + gap, tensor["at"] + 4 * tensor["count"]
    gap = header["bytes"] - end
    original += packed_bytes[place : place + gap]
    place += gap
    for tensor in header["tensors"]:
        count, scales = tensor["count"], tensor["scales"]
        if scales:
            factors = np.frombuffer(packed_bytes, "<f4", scales, place)
            whole = np.frombuffer(packed_bytes, np.int8, count, place + 4 * scales)
            place += 4 * scales + count
            numbers = whole * factors[np.arange(count) // tensor["inner"] % scales]
            content = numbers.astype("<f4").tobytes()
        else:
            planes = np.frombuffer(packed_bytes, np.uint8, 4 * count, place).reshape(4, count)
            place += 4 * count
            content = planes.T.tobytes()
        original[tensor["at"] : tensor["at"] + 4 * count] = content
    assert place == len(packed_bytes)
    return bytes(original)


def test_the_manifest_names_what_drawing_needs(client: TestClient, versions: list[str]) -> None:
    answer = client.get(f"/models/{versions[0]}/browser.json")
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    manifest = answer.json()
    assert manifest["version"] == versions[0]
    assert set(manifest["files"]) == {"generator.safetensors", "mapping.onnx", "synthesis.onnx"}


def test_an_alias_is_cached_for_minutes(client: TestClient, versions: list[str]) -> None:
    answer = client.get("/models/default/browser.json")
    assert "immutable" not in answer.headers["cache-control"]
    assert answer.json()["version"] in versions


def test_each_file_is_the_bundles_after_unpacking(
    client: TestClient, registry: Registry, versions: list[str]
) -> None:
    address = f"/models/{versions[0]}/browser.json"
    for name, file in client.get(address).json()["files"].items():
        answer = client.get(urljoin(address, file["url"]))
        assert answer.headers["cache-control"].endswith("immutable")
        assert answer.headers["access-control-allow-origin"] == "*"
        original = (registry.folder(versions[0]) / name).read_bytes()
        assert unpack(answer.content) == original
        assert hashlib.sha256(original).hexdigest() == file["sha256"]
        assert (len(original), len(answer.content)) == (file["bytes"], file["packed_bytes"])


@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_a_file_travels_in_a_coding_that_the_client_accepts(
    client: TestClient, versions: list[str], coding: str
) -> None:
    address = f"/models/{versions[0]}/browser/{bundle.WEIGHTS}"
    plain = client.get(address, headers={"Accept-Encoding": "identity"})
    answer_with_coding = client.get(address, headers={"Accept-Encoding": coding})
    assert "content-encoding" not in plain.headers
    assert answer_with_coding.headers["content-encoding"] == coding
    assert answer_with_coding.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert plain.content == answer_with_coding.content  # httpx decodes both
    assert int(answer_with_coding.headers["content-length"]) < len(plain.content)


def test_the_manifest_says_what_each_coding_takes(client: TestClient, versions: list[str]) -> None:
    address = f"/models/{versions[0]}/browser.json"
    for file in client.get(address).json()["files"].values():
        sizes = {
            coding: int(
                client.get(
                    urljoin(address, file["url"]), headers={"Accept-Encoding": coding}
                ).headers["content-length"]
            )
            for coding in ("br", "gzip", "identity")
        }
        assert sizes == {
            "br": file["brotli_bytes"],
            "gzip": file["gzip_bytes"],
            "identity": file["packed_bytes"],
        }


@pytest.mark.parametrize("name", ["card.json", "critic.onnx", "..%2fcard.json", "enlarger.onnx"])
def test_no_other_file_is_served(client: TestClient, versions: list[str], name: str) -> None:
    assert client.get(f"/models/{versions[0]}/browser/{name}").status_code == 404


def test_files_of_an_alias_are_not_immutable_so_there_are_none(client: TestClient) -> None:
    assert client.get(f"/models/default/browser/{bundle.WEIGHTS}").status_code == 404


def test_a_model_too_large_for_browsers_says_so(
    client: TestClient, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "LARGEST", 1000)
    answer = client.get(f"/models/{versions[0]}/browser.json")
    assert (answer.status_code, "too large" in answer.json()["detail"]) == (404, True)


@pytest.mark.parametrize("name", [bundle.WEIGHTS, bundle.SYNTHESIS])
def test_a_damaged_file_is_never_sent_as_the_one_of_a_version(
    client: TestClient, registry: Registry, versions: list[str], name: str
) -> None:
    path = registry.folder(versions[0]) / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for address in (f"browser/{name}", "browser.json"):
        answer = client.get(f"/models/{versions[0]}/{address}")
        assert answer.status_code == 409
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"other")])
def test_a_damaged_sample_sheet_is_neither_sent_nor_an_internal_error(
    client: TestClient,
    registry: Registry,
    versions: list[str],
    damage: Callable[[Path], object],
) -> None:
    address = f"/models/{versions[0]}/samples.png"
    assert client.get(address).status_code == 200
    damage(registry.folder(versions[0]) / bundle.SAMPLES)
    assert client.get(address).status_code == 409


def test_packing_is_charged_once(
    client: TestClient, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    charges: list[float] = []

    async def charge(_: Limiter, __: Any, faces: float) -> dict[str, str]:
        charges.append(faces)
        return {}

    monkeypatch.setattr(Limiter, "charge_pictures", charge)
    names = client.get(f"/models/{versions[0]}/browser.json").json()["files"]
    assert len(charges) == len(names)
    for name in names:
        client.get(f"/models/{versions[0]}/browser/{name}")
    assert len(charges) == len(names)


def test_weights_within_a_graph_are_packed_too(bundles: list[Path], tmp_path: Path) -> None:
    content = (add_enlarger(bundles[0], tmp_path / "b") / bundle.ENLARGER).read_bytes()
    packed_bytes = model_packing.pack(bundle.ENLARGER, content)
    assert unpack(packed_bytes) == content
    header = json.loads(packed_bytes[4 : 4 + int.from_bytes(packed_bytes[:4], "little")])
    assert sum(tensor["count"] for tensor in header["tensors"]) * 4 > len(content) / 2


@pytest.mark.parametrize("content", [b"\x3a\xff\xff\xff\xff\x0f", b"\x3a", b"\x07"])
def test_a_damaged_graph_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match="ONNX graph"):
        model_packing.pack(bundle.SYNTHESIS, content)


def test_weights_on_a_grid_take_a_byte_each(tmp_path: Path) -> None:
    from safetensors.numpy import save

    random = np.random.default_rng(0)
    weights = random.normal(size=(64, 32, 4, 4)).astype(np.float32)
    content = save(
        {"a": weight_grid.snap(weights, 1), "b": random.normal(size=7).astype(np.float32)}
    )
    packed_bytes = model_packing.pack(bundle.WEIGHTS, content)
    assert unpack(packed_bytes) == content
    assert len(packed_bytes) < len(content) / 3.5
