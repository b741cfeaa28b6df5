"""Flat art and photographs are told apart by their pixels, whatever their format and background."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from models.errors import DatasetError
from models.recipes.automatic import FLAT
from worker.datasets import starter, statistics
from worker.datasets.source import Images
from worker.datasets.sources.folder import FolderSource


def draw_flat(number: int, side: int = 256) -> Image.Image:
    """A face of a few flat colours with outlines."""
    random = np.random.default_rng(number)
    levels = random.integers(0, 256, (4, 3))
    colours = [(int(red), int(green), int(blue)) for red, green, blue in levels]
    image = Image.new("RGB", (side, side), colours[0])
    draw = ImageDraw.Draw(image)
    place = side // 8
    draw.ellipse((place, place, 7 * place, 8 * place), colours[1], (0, 0, 0), 3)
    draw.ellipse((2 * place, 2 * place, 6 * place, 7 * place), colours[2], (0, 0, 0), 3)
    draw.rectangle((3 * place, 5 * place, 5 * place, 5 * place + 9), colours[3], (0, 0, 0), 2)
    return image


def photograph(number: int, side: int = 256) -> Image.Image:
    """Soft light, texture and grain, as a camera has them."""
    random = np.random.default_rng(number)
    light = Image.fromarray(random.integers(40, 216, (5, 5, 3), dtype=np.uint8))
    pixels = np.asarray(light.resize((side, side), Image.Resampling.BICUBIC)).astype(np.float64)
    texture = random.normal(0, 12, (side // 4, side // 4, 1)).repeat(4, 0).repeat(4, 1)
    grain = random.normal(0, 5, (side, side, 3))
    return Image.fromarray((pixels + texture + grain).clip(0, 255).astype(np.uint8))


def draw_shaded(number: int, side: int = 256) -> Image.Image:
    """Lines over areas that are shaded softly, as most anime is coloured."""
    random = np.random.default_rng(number)
    light = Image.fromarray(random.integers(40, 216, (6, 6, 3), dtype=np.uint8))
    image = light.resize((side, side), Image.Resampling.BICUBIC)
    lines = ImageDraw.Draw(image)
    for _ in range(12):
        lines.line([int(each) for each in random.integers(0, side, 4)], (40, 20, 30), 2)
    return image.filter(ImageFilter.GaussianBlur(0.7))


def on_white(image: Image.Image) -> Image.Image:
    """The middle of a picture before a white wall."""
    mask = Image.new("L", image.size, 0)
    side = image.width
    ImageDraw.Draw(mask).ellipse((side // 5, side // 5, 4 * side // 5, side), 255)
    return Image.composite(image, Image.new("RGB", image.size, "white"), mask)


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """The picture after JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def small(image: Image.Image) -> Images:
    """64 pixels, as `measure` reads it."""
    return np.asarray(image.convert("RGB").resize((64, 64), Image.Resampling.LANCZOS))


Make = Callable[[int], Image.Image]
FLAT_ART: dict[str, Make] = {
    "starter": lambda number: Image.fromarray(starter.render(number, 256)),
    "drawn": draw_flat,
    "drawn-as-jpeg": lambda number: jpeg(draw_flat(number), 75),
    "drawn-on-white": lambda number: on_white(draw_flat(number)),
}
SHADED: dict[str, Make] = {
    "photograph": photograph,
    "photograph-as-jpeg": lambda number: jpeg(photograph(number), 60),
    "photograph-on-white": lambda number: on_white(photograph(number)),
    "shaded": draw_shaded,
    "shaded-as-jpeg": lambda number: jpeg(draw_shaded(number), 80),
}


@pytest.mark.parametrize("kind", FLAT_ART)
def test_flat_art_is_above_the_limit(kind: str) -> None:
    values = [statistics.flatness(small(FLAT_ART[kind](number))) for number in range(8)]
    assert np.median(values) > 1.25 * FLAT, values


@pytest.mark.parametrize("kind", SHADED)
def test_photographs_and_shaded_art_are_below_the_limit(kind: str) -> None:
    values = [statistics.flatness(small(SHADED[kind](number))) for number in range(8)]
    assert np.median(values) < FLAT / 1.25, values


def test_one_colour_is_flat() -> None:
    assert statistics.flatness(np.full((64, 64, 3), 7, np.uint8)) == 1


def test_half_of_the_pairs_are_equal() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[:2] = 100  # the background by number of pixels, at the first of equals: 0
    pixels[0, 0] = 200
    # 24 pairs: 10 within the background, 4 across its edge, and of the other 10 two with the 200.
    assert statistics.flatness(pixels) == pytest.approx(8 / 14)


def test_a_folder_is_measured_as_it_is(tmp_path: Path) -> None:
    for number in range(12):
        draw_flat(number, 100 if number < 5 else 70).save(tmp_path / f"{number:02}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    rows = [f"{number:02}.png,{'red' if number % 2 else 'blue'},{number}" for number in range(12)]
    (tmp_path / "metadata.csv").write_text(
        "\n".join(["file_name,hair,years", "broken.png,red,0", *rows])
    )
    pictures = statistics.measure(FolderSource(tmp_path, "faces"))
    assert (pictures.name, pictures.count, pictures.side) == ("faces", 13, 70)
    assert sorted(pictures.sides) == [70] * 7 + [100] * 5
    assert pictures.flatness > FLAT
    assert (pictures.attributes, pictures.numbers) == ({"hair": 2}, ("years",))
    assert statistics.measure(FolderSource(tmp_path, "faces"), limit=4).count == 4


def test_small_pictures_are_not_enlarged_before_they_are_measured(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(6):
        soft = Image.fromarray(random.integers(0, 256, (20, 20, 3), dtype=np.uint8))
        soft.save(tmp_path / f"{number}.png")
    assert statistics.measure(FolderSource(tmp_path, "noise")).flatness < 0.01


def test_a_folder_without_readable_pictures_is_refused(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_text(json.dumps({}))
    with pytest.raises(DatasetError, match="fewer than two of 3 pictures"):
        statistics.measure(FolderSource(tmp_path, "texts"))
