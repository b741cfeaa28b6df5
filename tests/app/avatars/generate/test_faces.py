"""Each picture type draws the faces of its seeds."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from models import bundle
from models.bundle import verify
from models.bundle.generator import Drawer
from models.faces import latents
from models.registry import Registry
from tests.support.pictures import IntPixels, get_body, get_frames, get_pixels

SIZE = "&size=16"  # the models' own, so that pixels are the network's


def _face(client: TestClient, seed: str, options: str = "") -> IntPixels:
    return get_pixels(client, f"/avatar?seed={seed}{SIZE}{options}")


@pytest.fixture(scope="module")
def drawer(bundles: list[Path]) -> Drawer:
    """The model that serves."""
    return verify.verify(bundles[0], bundle.digest(bundles[0]))


@pytest.mark.parametrize(
    ("address", "seed"),
    [
        ("/morph?from=a&to=b&t=0", "a"),
        ("/morph?from=a&to=b&t=1", "b"),
        ("/morph?from=a&to=a&t=0.3", "a"),
        ("/mix?coarse=a&fine=b&at=0", "b"),
        ("/blend?seeds=a", "a"),
        ("/blend?seeds=a:5", "a"),
        ("/blend?seeds=a:1,b:0", "a"),
        ("/sheet?seeds=a", "a"),
        ("/sheet?count=1&start=7", "7"),
    ],
)
def test_at_its_ends_a_picture_is_the_seeds_own_face(
    faces: TestClient, address: str, seed: str
) -> None:
    assert np.array_equal(get_pixels(faces, address + SIZE), _face(faces, seed))


def test_all_of_the_coarse_face_is_that_face(faces: TestClient, drawer: Drawer) -> None:
    assert np.array_equal(
        get_pixels(faces, f"/mix?coarse=a&fine=b&at={drawer.rows}{SIZE}"), _face(faces, "a")
    )
    response = faces.get(f"/mix?coarse=a&fine=b&at={drawer.rows + 1}")
    assert (response.status_code, response.json()["parameter"]) == (422, "at")


def test_a_mix_differs_from_both_and_both_ways(faces: TestClient) -> None:
    one = get_pixels(faces, f"/mix?coarse=a&fine=b{SIZE}")
    for other in (
        _face(faces, "a"),
        _face(faces, "b"),
        get_pixels(faces, f"/mix?coarse=b&fine=a{SIZE}"),
    ):
        assert not np.array_equal(one, other)


@pytest.mark.parametrize("ease", ["linear", "sine", "cubic"])
def test_a_loop_goes_there_and_back_and_ends_where_it_started(faces: TestClient, ease: str) -> None:
    frames = get_frames(faces, f"/morph?from=a&to=b&frames=8&ease={ease}&format=apng{SIZE}")
    assert len(frames) == 8
    assert np.array_equal(frames[0], _face(faces, "a"))
    assert np.array_equal(frames[4], _face(faces, "b"))
    for number in range(1, 4):  # so that the last step is like the others
        assert np.array_equal(frames[number], frames[8 - number])


def test_a_walk_passes_its_stops_and_begins_with_the_seed(
    faces: TestClient, drawer: Drawer
) -> None:
    frames = get_frames(faces, f"/walk?seed=a&stops=4&frames=8&format=apng{SIZE}")
    assert len(frames) == 8
    assert np.array_equal(frames[0], _face(faces, "a"))
    z = latents.normals("a", "walk:2", drawer.card.network.latent)
    assert np.array_equal(frames[4], drawer.draw(z[None], 1.0)[0])


@pytest.mark.parametrize("format", ["webp", "apng", "gif"])
def test_a_loop_has_its_frames_its_frame_rate_and_no_end(faces: TestClient, format: str) -> None:
    address = f"/walk?seed=a&frames=5&fps=10&size=32&format={format}"
    body = get_body(faces, address)
    image = Image.open(io.BytesIO(body))
    count = getattr(image, "n_frames", 1)
    assert (image.info["loop"], image.size) == (0, (32, 32))
    # WebP joins frames that look the same and adds their times.
    assert count == 5 if format != "webp" else 1 < count <= 5
    durations = []
    for number in range(count):
        image.seek(number)
        image.load()
        durations.append(image.info["duration"])
    assert sum(durations) == 500
    assert durations == [100] * 5 or format == "webp"
    assert get_body(faces, address) == body


def test_weights_are_shares(faces: TestClient) -> None:
    assert np.array_equal(
        get_pixels(faces, f"/blend?seeds=a:2,b:1{SIZE}"),
        get_pixels(faces, f"/blend?seeds=b:2,a:4{SIZE}"),
    )


def test_commas_and_colons_of_a_seed_are_its_own(faces: TestClient) -> None:
    twice = "a%252Cb%253A2"  # percent-encoded within the list, and again for the query
    assert np.array_equal(
        get_pixels(faces, f"/blend?seeds={twice}{SIZE}"), _face(faces, "a%2Cb%3A2")
    )


def test_the_order_of_the_parents_does_not_matter(faces: TestClient) -> None:
    one, other = (get_pixels(faces, f"/family?parents={pair}{SIZE}") for pair in ("a,b", "b,a"))
    assert np.array_equal(one, other)


def test_siblings_differ_and_are_on_the_sheet_what_they_are_alone(faces: TestClient) -> None:
    sheet = get_pixels(faces, f"/family?parents=a,b&children=4&columns=2{SIZE}")
    alone = [get_pixels(faces, f"/family?parents=a,b&child={child}{SIZE}") for child in range(4)]
    rows = [np.concatenate(alone[:2], axis=1), np.concatenate(alone[2:], axis=1)]
    assert np.array_equal(sheet, np.concatenate(rows))
    assert len({child.tobytes() for child in alone}) == 4


def test_a_sheet_has_rows_and_gaps(faces: TestClient) -> None:
    sheet = get_pixels(faces, f"/sheet?seeds=a,b,c&columns=2&gap=3&backdrop=ff0000{SIZE}")
    assert sheet.shape == (2 * 19 + 3, 2 * 19 + 3, 3)
    assert np.array_equal(sheet[3:19, 3:19], _face(faces, "a"))
    assert np.array_equal(sheet[3:19, 22:38], _face(faces, "b"))
    assert np.array_equal(sheet[22:38, 3:19], _face(faces, "c"))
    assert (sheet[:3] == (255, 0, 0)).all()
    assert (sheet[22:, 22:] == (255, 0, 0)).all(), "the empty place has a face"


def test_variants_are_other_faces_and_0_is_the_seeds_own(faces: TestClient) -> None:
    variants = {_face(faces, "a", f"&variant={number}").tobytes() for number in range(5)}
    assert len(variants) == 5
    assert _face(faces, "a").tobytes() in variants


def test_a_card_is_1200_by_628(faces: TestClient) -> None:
    assert get_pixels(faces, "/og?seed=a").shape == (628, 1200, 3)


@pytest.mark.parametrize("path", ["/avatar?seed=a", "/og?seed=a"])
def test_the_best_needs_a_critic(faces: TestClient, path: str) -> None:
    answer = faces.get(f"{path}&best_of=2")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:kao:problem:no-critic")


def test_the_best_is_the_variant_that_the_critic_scores_highest(
    client: TestClient,
    registry: Registry,
    write_bundle: Callable[..., Path],
    add_critic: Callable[..., None],
) -> None:
    folder = write_bundle(seed=5)
    add_critic(folder)  # which scores bright faces highest
    version = bundle.digest(folder)
    registry.import_folder(folder)
    options = f"&model={version}"
    bright = [_face(client, "a", f"&variant={number}{options}").mean() for number in range(8)]
    best = _face(client, "a", f"&best_of=8{options}")
    assert best.mean() == max(bright)


@pytest.mark.slow  # writing a `classic` bundle takes seconds, tens on a busy machine
def test_without_styles_faces_morph_and_blend_but_never_mix(
    client: TestClient, registry: Registry, write_bundle: Callable[..., Path]
) -> None:
    folder = write_bundle(preset="classic")
    registry.import_folder(folder)
    options = f"&model={bundle.digest(folder)}&format=png"
    size = "&size=96"
    assert np.array_equal(
        get_pixels(client, f"/morph?from=a&to=b&t=1{size}{options}"),
        get_pixels(client, f"/avatar?seed=b{size}{options}"),
    )
    for address in ("/blend?seeds=a,b", "/family?parents=a,b", "/avatar?seed=a&psi=0.5"):
        assert client.get(address + options).status_code == 200
    answer = client.get(f"/mix?coarse=a&fine=b{options}")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:kao:problem:no-styles")
