"""Helpers for tests that request pictures: decoded responses."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

IntPixels = NDArray[np.int64]


def decode(body: bytes) -> IntPixels:
    """The RGB values of a picture's first frame, (H, W, 3)."""
    with Image.open(io.BytesIO(body)) as image:
        return np.asarray(image.convert("RGB")).astype(np.int64)


def get_body(client: TestClient, address: str) -> bytes:
    """The bytes of a picture; asserts that the request succeeds."""
    response = client.get(address)
    assert response.status_code == 200, response.text
    body: bytes = response.content
    return body


def get_image(client: TestClient, address: str) -> Image.Image:
    """The picture at an address, decoded by Pillow."""
    image = Image.open(io.BytesIO(get_body(client, address)))
    image.load()
    return image


def get_pixels(client: TestClient, address: str) -> IntPixels:
    """The RGB values of the picture at an address, (H, W, 3)."""
    return decode(get_body(client, address))


def get_frames(client: TestClient, address: str) -> list[IntPixels]:
    """The RGB values of each frame of the loop at an address."""
    image = get_image(client, address)
    frames = []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        frames.append(np.asarray(image.convert("RGB")).astype(np.int64))
    return frames
