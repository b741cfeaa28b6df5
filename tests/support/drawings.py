"""Flat art, shaded art and photographs, drawn from a number."""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


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


def draw_photograph(number: int, side: int = 256) -> Image.Image:
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
