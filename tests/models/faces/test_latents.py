"""A seed is one latent, for ever."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from models.errors import InvalidSeed
from models.faces.latents import LONGEST, derive, random_seed, slerp, uniform_stream

VECTORS = json.loads((Path(__file__).parent / "seed_vectors.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: repr(vector["seed"][:12]))
def test_the_published_vectors_hold(vector: dict[str, Any]) -> None:
    z = derive(vector["seed"], 128)
    assert z[:4].tolist() == [np.float32(value) for value in vector["first"]]
    assert float(z[127]) == np.float32(vector["last"])


def test_the_documentation_shows_the_vectors() -> None:
    text = (Path(__file__).parents[3] / "docs" / "seeds.md").read_text()
    for vector in VECTORS:
        assert all(f"{value:.9g}" in text for value in vector["first"]), vector["seed"]


def test_a_longer_latent_begins_like_a_shorter_one() -> None:
    assert np.array_equal(derive("42", 256)[:100], derive("42", 100))


def test_a_new_option_never_moves_an_old_avatar() -> None:
    before = derive("42", 64)
    other = list(itertools.islice(uniform_stream("42", "mix"), 64))
    assert np.array_equal(derive("42", 64), before)
    assert other != list(itertools.islice(uniform_stream("42", "z"), 64))


def test_z_is_standard_normal() -> None:
    z = np.concatenate([derive(str(seed), 512) for seed in range(100)])
    assert abs(z.mean()) < 4 / math.sqrt(z.size)
    assert abs(z.std() - 1) < 0.01
    assert abs((z > 1.6449).mean() - 0.05) < 0.004


@given(st.text(max_size=200))
def test_any_text_is_a_seed(seed: str) -> None:
    z = derive(seed, 16)
    assert z.dtype == np.float32
    assert np.isfinite(z).all()


@pytest.mark.parametrize(
    ("seed", "valid"),
    [
        pytest.param("", True, id="empty"),
        pytest.param("x" * LONGEST, True, id="longest"),
        pytest.param("x" * (LONGEST + 1), False, id="one-more"),
        pytest.param("é" * (LONGEST // 2), True, id="longest-in-two-bytes"),
        pytest.param("é" * (LONGEST // 2 + 1), False, id="counted-in-bytes"),
        pytest.param("\ud800", False, id="lone-surrogate"),
    ],
)
def test_seeds_have_at_most_4096_bytes_of_text(seed: str, valid: bool) -> None:
    if valid:
        derive(seed, 4)
    else:
        with pytest.raises(InvalidSeed):
            derive(seed, 4)


def test_seeds_are_not_normalised() -> None:
    assert not np.array_equal(derive("é", 8), derive("e\u0301", 8))


def test_random_seeds_differ() -> None:
    assert len({random_seed() for _ in range(1000)}) == 1000


def test_a_variant_is_another_face_and_the_first_is_the_seeds_own() -> None:
    faces = [derive("42", 64, variant) for variant in range(16)]
    assert np.array_equal(faces[0], derive("42", 64))
    assert len({face.tobytes() for face in faces}) == 16


ROW = np.array([3.0, 0.0], np.float32)


@pytest.mark.parametrize(
    ("b", "t", "expected"),
    [
        pytest.param([0, 1], 0.0, [3, 0], id="begins-with-a"),
        pytest.param([0, 1], 1.0, [0, 1], id="ends-with-b"),
        pytest.param([0, 3], 0.5, [4.5**0.5, 4.5**0.5], id="on-the-circle"),
        pytest.param([0, 1], 0.5, [2**0.5, 2**0.5], id="lengths-go-evenly"),
        pytest.param([3, 0], 0.3, [3, 0], id="the-same"),
        pytest.param([-3, 0], 0.25, [1.5, 0], id="opposite"),
        pytest.param([0, 0], 0.5, [1.5, 0], id="zero"),
    ],
)
def test_slerp_follows_the_circle(b: list[float], t: float, expected: list[float]) -> None:
    assert np.allclose(slerp(ROW, np.array(b, np.float32), t), expected, atol=1e-6)
