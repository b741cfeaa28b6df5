"""Whose faces each picture shows."""

import io
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from models import bundle
from models.bundle import verify
from models.faces import latents
from models.registry import Registry

SIZE = "&size=16"  # the models' own, so that pixels are the network's


def _pixels(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(int)


def _frames(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    image = Image.open(io.BytesIO(answer.content))
    frames = []
    for number in range(image.n_frames):
        image.seek(number)
        frames.append(np.asarray(image.convert("RGB")).astype(int))
    return frames


def _face(client, seed, more=""):
    return _pixels(client, f"/avatar?seed={seed}{SIZE}{more}")


@pytest.fixture(scope="module")
def drawer(bundles: list[Path]):
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
def test_at_its_ends_a_picture_is_the_seeds_own_face(faces, address, seed) -> None:
    assert np.array_equal(_pixels(faces, address + SIZE), _face(faces, seed))


def test_all_of_the_coarse_face_is_that_face(faces, drawer) -> None:
    assert np.array_equal(
        _pixels(faces, f"/mix?coarse=a&fine=b&at={drawer.rows}{SIZE}"), _face(faces, "a")
    )
    told = faces.get(f"/mix?coarse=a&fine=b&at={drawer.rows + 1}")
    assert (told.status_code, told.json()["parameter"]) == (422, "at")


def test_a_mix_differs_from_both_and_both_ways(faces) -> None:
    one = _pixels(faces, f"/mix?coarse=a&fine=b{SIZE}")
    for other in (
        _face(faces, "a"),
        _face(faces, "b"),
        _pixels(faces, f"/mix?coarse=b&fine=a{SIZE}"),
    ):
        assert not np.array_equal(one, other)


@pytest.mark.parametrize("ease", ["linear", "sine", "cubic"])
def test_a_loop_goes_there_and_back_and_ends_where_it_began(faces, ease) -> None:
    frames = _frames(faces, f"/morph?from=a&to=b&frames=8&ease={ease}&format=apng{SIZE}")
    assert len(frames) == 8
    assert np.array_equal(frames[0], _face(faces, "a"))
    assert np.array_equal(frames[4], _face(faces, "b"))
    for way in range(1, 4):  # so the step from the last frame to the first is like any other
        assert np.array_equal(frames[way], frames[8 - way])


def test_a_walk_passes_its_stops_and_begins_with_the_seed(faces, drawer) -> None:
    frames = _frames(faces, f"/walk?seed=a&stops=4&frames=8&format=apng{SIZE}")
    assert len(frames) == 8
    assert np.array_equal(frames[0], _face(faces, "a"))
    z = latents.normals("a", "walk:2", drawer.card.network.latent)
    assert np.array_equal(frames[4], drawer.draw(z[None], 1.0)[0])


@pytest.mark.parametrize("format", ["webp", "apng", "gif"])
def test_a_loop_has_its_frames_its_pace_and_no_end(faces, format) -> None:
    answer = faces.get(f"/walk?seed=a&frames=5&fps=10&size=32&format={format}")
    image = Image.open(io.BytesIO(answer.content))
    assert (image.info["loop"], image.size) == (0, (32, 32))
    # WebP joins frames that look the same and adds their times.
    assert image.n_frames == 5 if format != "webp" else 1 < image.n_frames <= 5
    paces = []
    for number in range(image.n_frames):
        image.seek(number)
        image.load()
        paces.append(image.info["duration"])
    assert sum(paces) == 500
    assert paces == [100] * 5 or format == "webp"
    again = faces.get(f"/walk?seed=a&frames=5&fps=10&size=32&format={format}")
    assert again.content == answer.content


def test_weights_are_shares(faces) -> None:
    assert np.array_equal(
        _pixels(faces, f"/blend?seeds=a:2,b:1{SIZE}"), _pixels(faces, f"/blend?seeds=b:2,a:4{SIZE}")
    )


def test_commas_and_colons_of_a_seed_are_its_own(faces) -> None:
    twice = "a%252Cb%253A2"  # percent-encoded within the list, and again for the query
    assert np.array_equal(_pixels(faces, f"/blend?seeds={twice}{SIZE}"), _face(faces, "a%2Cb%3A2"))


def test_the_order_of_the_parents_means_nothing(faces) -> None:
    one, other = (_pixels(faces, f"/family?parents={pair}{SIZE}") for pair in ("a,b", "b,a"))
    assert np.array_equal(one, other)


def test_siblings_differ_and_stand_on_the_sheet_as_they_are_alone(faces) -> None:
    sheet = _pixels(faces, f"/family?parents=a,b&children=4&columns=2{SIZE}")
    alone = [_pixels(faces, f"/family?parents=a,b&child={child}{SIZE}") for child in range(4)]
    rows = [np.concatenate(alone[:2], axis=1), np.concatenate(alone[2:], axis=1)]
    assert np.array_equal(sheet, np.concatenate(rows))
    assert len({child.tobytes() for child in alone}) == 4


def test_a_sheet_has_rows_and_gaps(faces) -> None:
    sheet = _pixels(faces, f"/sheet?seeds=a,b,c&columns=2&gap=3&backdrop=ff0000{SIZE}")
    assert sheet.shape == (2 * 19 + 3, 2 * 19 + 3, 3)
    assert np.array_equal(sheet[3:19, 3:19], _face(faces, "a"))
    assert np.array_equal(sheet[3:19, 22:38], _face(faces, "b"))
    assert np.array_equal(sheet[22:38, 3:19], _face(faces, "c"))
    assert (sheet[:3] == (255, 0, 0)).all()
    assert (sheet[22:, 22:] == (255, 0, 0)).all(), "nobody stands there"


def test_variants_are_other_faces_and_0_is_the_seeds_own(faces) -> None:
    found = {_face(faces, "a", f"&variant={number}").tobytes() for number in range(5)}
    assert len(found) == 5
    assert _face(faces, "a").tobytes() in found


def test_a_card_is_as_large_as_readers_want_it(faces) -> None:
    assert _pixels(faces, "/og?seed=a").shape == (628, 1200, 3)


@pytest.mark.parametrize("path", ["/avatar?seed=a", "/og?seed=a"])
def test_the_best_needs_a_critic(faces, path) -> None:
    answer = faces.get(f"{path}&best_of=2")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:kao:problem:no-critic")


def test_the_best_is_the_variant_that_the_critic_likes(
    client: TestClient, registry: Registry, write_bundle, add_critic
) -> None:
    folder = write_bundle(seed=5)
    add_critic(folder)  # it likes bright faces
    version = bundle.digest(folder)
    registry.import_folder(folder)
    more = f"&model={version}"
    bright = [_face(client, "a", f"&variant={number}{more}").mean() for number in range(8)]
    best = _face(client, "a", f"&best_of=8{more}")
    assert best.mean() == max(bright)


@pytest.mark.slow  # writing a `classic` bundle takes seconds, tens on a busy machine
def test_without_styles_faces_morph_and_blend_but_never_mix(
    client: TestClient, registry: Registry, write_bundle
) -> None:
    folder = write_bundle(preset="classic")
    registry.import_folder(folder)
    more = f"&model={bundle.digest(folder)}&format=png"
    size = "&size=96"
    assert np.array_equal(
        _pixels(client, f"/morph?from=a&to=b&t=1{size}{more}"),
        _pixels(client, f"/avatar?seed=b{size}{more}"),
    )
    for address in ("/blend?seeds=a,b", "/family?parents=a,b", "/avatar?seed=a&psi=0.5"):
        assert client.get(address + more).status_code == 200
    answer = client.get(f"/mix?coarse=a&fine=b{more}")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:kao:problem:no-styles")
