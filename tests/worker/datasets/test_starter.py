"""A starter image depends on its number alone and shows what its labels say."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from worker.datasets import packing, starter, starter_attributes

SAMPLE = 400


@pytest.mark.parametrize(
    ("edition", "expected"),
    [
        (
            starter_attributes.FIRST,
            "3a483624ccd5f7b32ca3cccc750c1229f5744b0a3054f394fcbbf1771b52f6ff",
        ),
        (
            starter_attributes.SECOND,
            "d1302b26e52045ad227a876374270f5848ddda168bb1b96809977ac992d0ab58",
        ),
        (
            starter_attributes.THIRD,
            "d1302b26e52045ad227a876374270f5848ddda168bb1b96809977ac992d0ab58",
        ),
    ],
    ids=["first", "second", "third"],
)
def test_the_choices_of_an_image_never_change(
    edition: starter_attributes.Edition, expected: str
) -> None:
    rows = [sorted(starter_attributes.attributes(index, edition).items()) for index in range(200)]
    digest = hashlib.sha256(repr(rows).encode()).hexdigest()
    assert digest == expected, "the choices moved: that needs a new edition"


@pytest.mark.parametrize(
    ("edition", "expected"),
    [
        (
            starter_attributes.FIRST,
            "cfcf1998dd657fc357930299011162c42840f12a539c08dc6fd2b61bfb752002",
        ),
        (
            starter_attributes.SECOND,
            "5c08a2c7d3e2faea53c438d745d5a349ef6a2b2ed9feac31f1099cfaae50e87f",
        ),
        (
            starter_attributes.THIRD,
            "5c08a2c7d3e2faea53c438d745d5a349ef6a2b2ed9feac31f1099cfaae50e87f",
        ),
    ],
    ids=["first", "second", "third"],
)
def test_the_pixels_of_an_image_never_change(
    edition: starter_attributes.Edition, expected: str
) -> None:
    assert _digest(edition, range(8)) == expected, "pixels moved: that needs a new edition"


@pytest.mark.parametrize(
    ("edition", "expected"),
    [
        (
            starter_attributes.SECOND,
            "d04ac14cc38c1188d33b3d1846b3976e1ea4cd3b73e8876bffaf2eab0d620150",
        ),
        (
            starter_attributes.THIRD,
            "33b061f9a64faaa6fcc73fabe4f4d506ec982ef11755aca327cd38078ad1b021",
        ),
    ],
    ids=["second", "third"],
)
def test_the_pixels_of_deep_skin_never_change(
    edition: starter_attributes.Edition, expected: str
) -> None:
    indices = [index for index in range(46) if _skin(index) in starter_attributes.DEEP_SKINS]
    assert _digest(edition, indices) == expected, "pixels moved: that needs a new edition"


def _digest(edition: starter_attributes.Edition, indices: Iterable[int]) -> str:
    pixels = b"".join(starter.render(index, 64, edition).tobytes() for index in indices)
    return hashlib.sha256(pixels).hexdigest()


def _skin(index: int) -> str:
    return starter_attributes.attributes(index)["skin"]


def test_on_deep_skin_iris_lashes_and_mouth_contrast_with_the_skin() -> None:
    deep = [index for index in range(1000) if _skin(index) in starter_attributes.DEEP_SKINS]
    assert {_skin(index) for index in deep} == starter_attributes.DEEP_SKINS
    for index in deep:
        options, skin = starter.options(index), starter_attributes.SKINS[_skin(index)].fill
        for colour in {*options["eyesColor"], options["mouthColor"]}:
            assert starter_attributes.distance(colour, skin) >= starter_attributes.MIN_CONTRAST, (
                index,
                colour,
            )


def test_independent_attributes_ask_for_every_pair() -> None:
    names = ("hair_colour", "skin", "background")
    rows = [starter_attributes.attributes(index) for index in range(4000)]
    for one, other in combinations(names, 2):
        pairs = {(row[one], row[other]) for row in rows}
        values = [len({row[name] for row in rows}) for name in (one, other)]
        assert len(pairs) == values[0] * values[1], (one, other)


def test_where_contrast_is_low_a_contour_is_drawn() -> None:
    index = next(
        index
        for index in range(4000)
        if starter_attributes.attributes(index)["hair_colour"] == "rose"
        and starter_attributes.attributes(index)["background"] == "rosy"
    )
    contour = starter.options(index)["hairContourColor"]
    assert contour != starter_attributes.HAIR_COLOURS["rose"]
    distance = np.abs(starter.render(index, 256).astype(int) - list(bytes.fromhex(contour)))
    assert (distance.max(-1) <= 2).sum() > 100


def test_two_sizes_of_an_image_make_a_pair() -> None:
    for index in range(4):
        small = starter.render(index, 256).reshape(64, 4, 64, 4, 3).mean((1, 3))
        assert np.abs(starter.render(index, 64) - small).mean() < 0.5


def test_an_image_is_the_same_in_another_process() -> None:
    code = (
        "import hashlib; from worker.datasets.starter import render;"
        "print(hashlib.sha256(render(7, 32).tobytes()).hexdigest())"
    )
    root = str(Path(starter.__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "PYTHONHASHSEED": "123"}
    process = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    assert process.stdout.strip() == hashlib.sha256(starter.render(7, 32).tobytes()).hexdigest()


def test_neither_size_nor_order_changes_what_is_shown() -> None:
    large = starter.render(3, 64)
    starter.render(4, 16)
    assert (starter.render(3, 64) == large).all()
    small = large.reshape(32, 2, 32, 2, 3).mean((1, 3))
    assert np.abs(starter.render(3, 32) - small).mean() < 5


@pytest.mark.parametrize("size", [8, 64, 96])
def test_any_size_is_drawn(size: int) -> None:
    pixels = starter.render(0, size)
    assert pixels.shape == (size, size, 3)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize(
    ("index", "size"), [(0, 7), (0, 1025), (-1, 64)], ids=["small", "large", "negative"]
)
def test_out_of_range_is_refused(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="not"):
        starter.render(index, size)


def test_images_differ() -> None:
    assert len({starter.render(index, 16).tobytes() for index in range(60)}) == 60


def test_every_attribute_is_named_and_varies() -> None:
    rows = [starter_attributes.attributes(index) for index in range(SAMPLE)]
    assert len({tuple(row) for row in rows}) == 1
    for name in set(rows[0]) - {"beard"}:
        assert len({row[name] for row in rows}) > 1, name


def test_the_weights_are_met() -> None:
    glasses = Counter(starter_attributes.attributes(index)["glasses"] for index in range(4000))
    assert 0.86 < glasses["none"] / 4000 < 0.90


@pytest.mark.parametrize("index", range(12))
def test_the_corner_shows_the_background_of_the_label(index: int) -> None:
    fill = bytes.fromhex(
        starter_attributes.BACKGROUNDS[starter_attributes.attributes(index)["background"]]
    )
    assert starter.render(index, 64)[1, 1].tolist() == list(fill)


@pytest.mark.parametrize("table", ["hair_colour", "skin"])
def test_the_labelled_colour_is_in_the_picture(table: str) -> None:
    for index in range(12):
        name = starter_attributes.attributes(index)[table]
        fill = (
            starter_attributes.HAIR_COLOURS[name]
            if table == "hair_colour"
            else starter_attributes.SKINS[name].fill
        )
        distance = np.abs(starter.render(index, 96).astype(int) - list(bytes.fromhex(fill)))
        assert (distance.max(-1) <= 2).mean() > 0.01, (index, name)


@pytest.mark.parametrize(
    ("attribute", "option", "absent"),
    [
        ("glasses", "glassesProbability", "none"),
        ("beard", "beardProbability", "none"),
        ("freckles", "frecklesProbability", "no"),
        ("earrings", "earringsProbability", "none"),
        ("flowers", "hairAccessoriesProbability", "no"),
    ],
)
def test_a_labelled_extra_is_surely_drawn_or_not(attribute: str, option: str, absent: str) -> None:
    for index in range(SAMPLE):
        is_present = starter_attributes.attributes(index)[attribute] != absent
        assert starter.options(index)[option] == (100 if is_present else 0)


def test_every_choice_exists_in_the_style() -> None:
    components = starter._style().components()
    for index in range(SAMPLE):
        for option, choice in starter.options(index).items():
            if option.endswith("Variant"):
                assert choice in components[option.removesuffix("Variant")].variants()


def test_each_hair_has_one_length() -> None:
    numbers = [number for group in starter_attributes.HAIR_LENGTHS.values() for number in group]
    assert sorted(numbers) == list(range(1, 49))


def test_labels_say_what_attributes_say() -> None:
    table = starter_attributes.labels(50)["attributes"]
    for index in range(50):
        values = {name: row["values"][row["codes"][index]] for name, row in table.items()}
        assert values == starter_attributes.attributes(index)


def test_many_processes_draw_what_one_draws() -> None:
    count = starter.CHUNK + 6
    together = np.stack(list(starter.render_all(count, 8, workers=2)))
    assert (together == np.stack([starter.render(index, 8) for index in range(count)])).all()


def test_a_rendered_set_is_kept(tmp_path: Path) -> None:
    reports: list[tuple[int, int]] = []
    first = packing.pack(
        "starter", 8, tmp_path, limit=6, workers=1, progress=lambda *count: reports.append(count)
    )
    assert reports == [(count, 6) for count in range(1, 7)]
    assert np.load(first.folder / "images.npy").shape == (6, 8, 8, 3)
    assert packing.pack("starter", 8, tmp_path, limit=6).folder == first.folder
