"""Shapes, backdrops and sizes of still pictures."""

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.support.pictures import get_image


def _picture(client: TestClient, query: str) -> Image.Image:
    return get_image(client, f"/avatar?seed=a&{query}")


@pytest.mark.parametrize("shape", ["circle", "rounded"])
@pytest.mark.parametrize("format", ["png", "webp", "avif", "apng", "gif"])
def test_outside_a_shape_there_is_nothing(faces: TestClient, shape: str, format: str) -> None:
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
def test_a_backdrop_lies_beneath(
    faces: TestClient, query: str, corner: tuple[int, int, int]
) -> None:
    image = _picture(faces, f"size=128&{query}")
    assert image.mode == "RGB"
    assert np.abs(np.subtract(np.asarray(image)[1, 1].astype(int), corner)).max() < 12


@pytest.mark.parametrize(("query", "side"), [("size=64&dpr=2", 128), ("size=33&dpr=1.5", 50)])
def test_dpr_multiplies_the_size(faces: TestClient, query: str, side: int) -> None:
    assert _picture(faces, query).size == (side, side)


def test_an_address_that_a_jpeg_cannot_hold_is_refused(faces: TestClient) -> None:
    seeds = ",".join(f"{number}{'^' * 3_300}" for number in range(4))
    answer = faces.get(f"/sheet?size=16&format=jpeg&seeds={seeds}")
    assert (answer.status_code, answer.json()["parameter"]) == (422, "format")
    assert faces.get(f"/sheet?size=16&format=png&seeds={seeds}").status_code == 200
