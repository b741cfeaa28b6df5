"""Near-duplicates are found among many pictures, and other faces are none."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from models.datasets import near_duplicates
from models.datasets.images import read_square
from models.datasets.near_duplicates import Pixels, find, thumbnail
from worker.datasets import starter

FACES = 60
NAMES = [f"{number:03}" for number in range(FACES)]


@pytest.fixture(scope="module")
def faces() -> list[Pixels]:
    """Drawings that differ in their parts alone: the same head, colours and places."""
    return [starter.render(number, 128) for number in range(FACES)]


def reencode(face: Pixels, how: str) -> Pixels:
    image, file = Image.fromarray(face), io.BytesIO()
    if how == "smaller":
        image.resize((90, 90), Image.Resampling.LANCZOS).save(file, "PNG")
    elif how == "brighter":
        image.point(lambda value: min(255, value + 4)).save(file, "WEBP", quality=60)
    else:
        image.save(file, "JPEG", quality=70)
    return read_square(file.getvalue(), 128)


def test_other_faces_are_no_duplicates(faces: list[Pixels]) -> None:
    assert find(NAMES, [thumbnail(face) for face in faces]).count == 0


@pytest.mark.parametrize("how", ["as JPEG", "smaller", "brighter"])
def test_a_picture_that_was_saved_again_is_found(faces: list[Pixels], how: str) -> None:
    """dogsheep/dogsheep-photos#7, kungfuai/kaishi#1."""
    again = [reencode(face, how) for face in faces]
    names = [*NAMES, *(f"{name} again" for name in NAMES)]
    alike = find(names, [thumbnail(face) for face in [*faces, *again]])
    assert alike.looked == 2 * FACES
    assert alike.count >= 0.95 * FACES
    assert all(group[1] == f"{group[0]} again" for group in alike.groups)


def test_a_hundred_thousand_equal_pictures_take_seconds() -> None:
    """The worst case: every picture is a candidate for every other."""
    rng = np.random.default_rng(0)
    flat = 200 + rng.integers(0, 2, (100_000, 8, 8, 3), dtype=np.uint8)
    start = time.process_time()
    alike = find([str(number) for number in range(len(flat))], list(flat))
    assert time.process_time() - start < 60
    assert alike.count == len(flat) - 1
    assert [len(group) for group in alike.groups] == [near_duplicates.MOST_NAMES]


def test_no_pictures_have_no_duplicates() -> None:
    assert find([], []).count == 0
