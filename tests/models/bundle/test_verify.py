"""A bundle serves only when it is whole."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import bundle
from models.bundle import generator, verify
from models.errors import BadBundle, NoCritic
from models.faces import latents
from tests.support.fixtures import AddCritic, WriteBundle


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def set_weights(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(folder / bundle.WEIGHTS)
    save_file(change(weights), folder / bundle.WEIGHTS)


def lie(folder: Path, **changes: object) -> None:
    card = json.loads((folder / bundle.CARD).read_text())
    card["network"].update(changes)
    (folder / bundle.CARD).write_text(json.dumps(card))


DAMAGE: dict[str, tuple[Callable[[Path], object], bool]] = {
    "a bit flipped": (lambda f: flip_a_bit(f / bundle.WEIGHTS), False),
    "the card edited": (lambda f: lie(f, resolution=32), False),
    "truncated": (lambda f: (f / bundle.SYNTHESIS).write_bytes(b"\x08"), False),
    "a file missing": (lambda f: (f / bundle.SAMPLES).unlink(), True),
    "a file added": (lambda f: (f / "run.py").write_text("1"), True),
    "NaN weights": (
        lambda f: set_weights(f, lambda w: {k: v * np.nan for k, v in w.items()}),
        True,
    ),
    "no safetensors": (lambda f: (f / bundle.WEIGHTS).write_bytes(b"pickle"), True),
    "a card that lies about size": (lambda f: lie(f, resolution=32), True),
    "a card that lies about z": (lambda f: lie(f, latent=8), True),
    "a card that is no JSON": (lambda f: (f / bundle.CARD).write_text("{"), True),
    "a graph that is none": (lambda f: (f / bundle.SYNTHESIS).write_bytes(b"no"), True),
    "no mapping": (lambda f: (f / bundle.MAPPING).unlink(), True),
}


@pytest.mark.parametrize(("name", "digest_again"), [(k, v[1]) for k, v in DAMAGE.items()])
def test_a_damaged_bundle_is_refused(
    write_bundle: WriteBundle, tmp_path: Path, name: str, digest_again: bool
) -> None:
    folder = tmp_path / "b"
    shutil.copytree(write_bundle(), folder)
    version = bundle.digest(folder)
    verify.verify(folder, version)
    DAMAGE[name][0](folder)
    with pytest.raises(BadBundle):
        verify.verify(folder, bundle.digest(folder) if digest_again else version)


@pytest.mark.parametrize("preset", ["smoke", "modern-64", "classic"])
def test_pixels_do_not_depend_on_the_batch(write_bundle: WriteBundle, preset: str) -> None:
    folder = write_bundle(preset=preset)
    drawer = verify.verify(folder, bundle.digest(folder))
    length = drawer.card.network.latent
    z = np.stack([latents.derive(str(seed), length) for seed in range(32)])
    together = drawer.draw(z, 0.8)
    for size in (1, 2, 8):
        assert np.array_equal(drawer.draw(z[:size], 0.8), together[:size])
        w = drawer.truncate(drawer.styles(z[:size]), 0.8, z[:size])
        assert np.array_equal(w, drawer.truncate(drawer.styles(z), 0.8, z)[:size])
        assert np.array_equal(drawer.synthesise(np.stack([w] * drawer.rows, 1)), together[:size])


@pytest.mark.parametrize("preset", ["modern-64", "classic"])
def test_the_way_between_two_styles_begins_and_ends_with_them(
    write_bundle: WriteBundle, preset: str
) -> None:
    folder = write_bundle(preset=preset)
    drawer = verify.verify(folder, bundle.digest(folder))
    z = np.stack([latents.derive(seed, drawer.card.network.latent) for seed in "ab"])
    a, b = drawer.styles(z)
    assert np.array_equal(drawer.between(a, b, 0), a)
    assert np.array_equal(drawer.between(a, b, 1), b)
    middle = drawer.between(a, b, 0.5)
    assert middle.dtype == np.float32
    # In z the length stays between the two; a straight line would cut through the middle.
    straight = preset == "modern-64"
    assert np.allclose(middle, (a + b) / 2) == straight


def test_a_model_without_a_critic_says_so(write_bundle: WriteBundle) -> None:
    folder = write_bundle()
    drawer = verify.verify(folder, bundle.digest(folder))
    with pytest.raises(NoCritic, match="critic"):
        drawer.score(drawer.draw(np.zeros((1, drawer.card.network.latent), np.float32), 1.0))


@pytest.mark.parametrize("node", ["Relu", "Log"], ids=["a number", "NaN"])
def test_a_critic_scores_each_face_alone_or_is_refused(
    write_bundle: WriteBundle, add_critic: AddCritic, node: str
) -> None:
    folder = write_bundle()
    add_critic(folder, node)
    version = bundle.digest(folder)
    if node == "Log":
        with pytest.raises(BadBundle, match="critic"):
            verify.verify(folder, version)
        return
    drawer = verify.verify(folder, version)
    z = np.stack([latents.derive(str(n), drawer.card.network.latent) for n in range(5)])
    pixels = drawer.draw(z, 1.0)
    scores = drawer.score(pixels)
    assert scores.shape == (5,)
    assert np.allclose(scores, pixels.astype(float).mean((1, 2, 3)), rtol=1e-4)


@pytest.mark.parametrize("preset", ["modern-64", "classic"])
@pytest.mark.parametrize("count", [1, 7, 8, 20])
def test_a_gpus_one_shape_changes_no_pixel(
    write_bundle: WriteBundle, monkeypatch: pytest.MonkeyPatch, preset: str, count: int
) -> None:
    folder = write_bundle(preset=preset)
    drawer = verify.verify(folder, bundle.digest(folder))
    z = np.random.default_rng(0).standard_normal((count, drawer.card.network.latent), np.float32)
    pixels = drawer.draw(z, 0.8)
    shapes: set[int] = set()
    run = drawer._run

    def record(session: Any, latent: generator.Floats) -> Any:
        shapes.add(len(latent))
        return run(session, latent)

    monkeypatch.setattr(drawer, "_run", record)
    drawer._is_padded = True
    assert np.array_equal(drawer.draw(z, 0.8), pixels)
    assert shapes == {generator.LARGEST_BATCH}


@pytest.mark.parametrize(
    ("available", "first"),
    [([generator.CPU], generator.CPU), ([generator.CUDA, generator.CPU], generator.CUDA)],
)
def test_cuda_is_taken_where_it_is_and_without_tf32(
    monkeypatch: pytest.MonkeyPatch, available: list[str], first: str
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: available)
    providers = generator._providers()
    assert providers[-1] == generator.CPU
    if first == generator.CUDA:
        assert providers[0][0] == generator.CUDA
        options = providers[0][1]
        assert isinstance(options, dict)
        assert options["use_tf32"] == "0"


@pytest.mark.parametrize(
    ("preset", "fields"),
    [("smoke", {}), ("smoke", {"flatten": 20.0}), ("modern-64", {}), ("classic", {})],
)
def test_onnx_draws_what_pytorch_draws(
    write_bundle: WriteBundle, preset: str, fields: dict[str, Any]
) -> None:
    import torch
    from safetensors.torch import load_file

    from models.networks import build
    from models.recipes.recipe import resolve

    folder = write_bundle(preset=preset, **fields)
    drawer = verify.verify(folder, bundle.digest(folder))
    network = build.generator(resolve({"preset": preset, **fields}))
    keys = network.load_state_dict(load_file(folder / bundle.WEIGHTS), strict=False)
    assert not keys.unexpected_keys
    assert all(name.endswith("num_batches_tracked") for name in keys.missing_keys)
    z = np.stack([latents.derive(str(seed), drawer.card.network.latent) for seed in range(16)])
    with torch.no_grad():
        eager = network.eval()(torch.from_numpy(z)).clamp(-1, 1).add(1).mul(127.5).round()
    eager = eager.permute(0, 2, 3, 1).numpy()
    difference = np.abs(drawer.draw(z, 1.0).astype(int) - eager)
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.001


def test_weights_are_stored_once(write_bundle: WriteBundle) -> None:
    folder = write_bundle(preset="modern-64")
    graphs = sum((folder / name).stat().st_size for name in (bundle.SYNTHESIS, bundle.MAPPING))
    assert graphs < 0.05 * (folder / bundle.WEIGHTS).stat().st_size


def test_psi_pulls_towards_the_average_face(write_bundle: WriteBundle) -> None:
    folder = write_bundle(preset="modern-64")
    drawer = verify.verify(folder, bundle.digest(folder))
    z = np.stack([latents.derive(str(seed), 128) for seed in range(8)])
    spread = [drawer.draw(z, psi).astype(float).std(0).mean() for psi in (0.0, 0.5, 1.0)]
    assert spread[0] == 0
    assert spread[0] < spread[1] < spread[2]


@pytest.mark.parametrize("preset", ["smoke", "modern-64"])
def test_a_loaded_model_draws_the_same_whatever_happens_to_its_files(
    write_bundle: WriteBundle, tmp_path: Path, preset: str
) -> None:
    """ONNX Runtime maps weights that lie in a file of their own."""
    folder = Path(shutil.copytree(write_bundle(preset=preset), tmp_path / "b"))
    drawer = verify.verify(folder, bundle.digest(folder))
    z = latents.derive_all(map(str, range(8)), drawer.card.network.latent)
    faces = drawer.draw(z, 0.7)
    weights = folder / bundle.WEIGHTS
    weights.write_bytes(bytes(weights.stat().st_size))
    assert np.array_equal(drawer.draw(z, 0.7), faces)
    weights.write_bytes(b"")  # reading what was mapped would end this process
    assert np.array_equal(drawer.draw(z, 0.7), faces)


@pytest.mark.parametrize("damage", ["another-graph", "removed"])
def test_a_part_that_is_read_later_is_verified_when_it_is_read(
    write_bundle: WriteBundle, add_critic: AddCritic, tmp_path: Path, damage: str
) -> None:
    folder = Path(shutil.copytree(write_bundle(), tmp_path / "b"))
    add_critic(folder)
    drawer = verify.verify(folder, bundle.digest(folder))
    pixels = drawer.draw(np.zeros((1, drawer.card.network.latent), np.float32), 1.0)
    if damage == "another-graph":
        add_critic(folder, "Sqrt")
    else:
        (folder / bundle.CRITIC).unlink()
    with pytest.raises(BadBundle, match="after the model was verified"):
        drawer.score(pixels)
