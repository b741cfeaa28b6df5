"""Every parameter of every picture at its edges: the last good value, and the first bad one."""

import io

import pytest
from PIL import Image

from app.avatars import formats
from app.avatars.request.picture_types import PICTURE_TYPES

MORPH, FAMILY, SHEET = "/morph?from=a&to=b", "/family?parents=a,b", "/sheet?count=4"
SMALL = "&size=16"
# What is asked beside it, the parameter, its good values, its bad ones.
EDGES = [
    ("/avatar?seed=a", "size", ["16", "1024"], ["15", "1025", "1000000000", "-16", "0x10", ""]),
    ("/avatar?seed=a&size=16", "dpr", ["1", "1.5", "4"], ["0", "0.9", "4.1", "1e0", "inf", ""]),
    ("/avatar?seed=a&dpr=2", "size", ["512"], ["513", "1024"]),
    ("/avatar?seed=a" + SMALL, "psi", ["0", "1.5", ".5"], ["-0.1", "1.51", "nan", "1,5", ""]),
    ("/avatar?seed=a" + SMALL, "shape", ["square", "circle", "rounded"], ["Circle", "oval", ""]),
    (
        "/avatar?seed=a&shape=circle" + SMALL,
        "backdrop",
        ["fff", "FFEEDD", "%23ffeedd", "transparent"],
        ["ff", "ffee", "ffeeddcc", "white", "ggg", ""],
    ),
    ("/avatar?seed=a" + SMALL, "variant", ["0", "999"], ["-1", "1000", "1.0", ""]),
    ("/avatar?seed=a" + SMALL, "best_of", ["1"], ["0", "17", "1000000000", ""]),
    ("/avatar?seed=a" + SMALL, "age", ["0", "0.5", "1"], ["-0.1", "-0", "1.01", "young", ""]),
    ("/avatar?seed=a" + SMALL, "model", ["default", "latest"], ["", "a" * 65]),
    (MORPH + SMALL, "t", ["0", "0.5", "1"], ["-0.1", "1.01", "nan", ""]),
    (MORPH + SMALL, "frames", ["2", "64"], ["1", "65", "1000000000", ""]),
    (MORPH + SMALL + "&frames=2", "fps", ["1", "29.97", "30"], ["0", "0.99", "30.1", ""]),
    (MORPH + SMALL + "&frames=2", "ease", ["linear", "sine", "cubic"], ["bounce", ""]),
    (MORPH + "&frames=2", "size", ["16", "512"], ["513", "1024"]),
    (MORPH + "&t=0.5", "size", ["1024"], ["1025"]),
    ("/walk?seed=a" + SMALL, "stops", ["2", "12"], ["1", "13", ""]),
    ("/mix?coarse=a&fine=b" + SMALL, "at", ["0", "2"], ["64", "65", "-1", ""]),
    ("/blend?size=16", "seeds", ["a", "a:2,b:.5", "a,b:0"], ["a:0", "a:-1", "a:x", "a:1:2"]),
    ("/blend?size=16", "seeds", [",".join("a" * 32)], [",".join("a" * 33)]),
    ("/family?size=16", "parents", ["a,b", "a,a", ",", "a%252Cb,c"], ["a", "a,b,c", "a,%25ff"]),
    (FAMILY + SMALL, "children", ["1", "16"], ["0", "17", ""]),
    (FAMILY + SMALL, "child", ["0", "15"], ["-1", "16", ""]),
    (SHEET + SMALL, "columns", ["1", "100"], ["0", "101", ""]),
    (SHEET + SMALL, "gap", ["0", "64"], ["-1", "65", ""]),
    (SHEET + SMALL, "start", ["0", "999999"], ["-1", "1000000", ""]),
    ("/sheet?size=16", "count", ["1", "100"], ["0", "101", ""]),
    ("/sheet?size=16", "seeds", ["a", ",".join("a" * 100)], [",".join("a" * 101), "%25ff"]),
    ("/sheet?columns=100&count=100", "size", ["40"], ["41"]),
    ("/og?seed=a", "shape", ["square", "circle", "rounded"], ["oval", ""]),
]
GOOD = [
    pytest.param(f"{beside}&{name}={value}", id=f"{beside[1:20]}-{name}={value[:12]}")
    for beside, name, values, _ in EDGES
    for value in values
]
BAD = [
    pytest.param(f"{beside}&{name}={value}", name, id=f"{beside[1:20]}-{name}={value[:12]}")
    for beside, name, _, values in EDGES
    for value in values
]
# Such seeds as break parsers, with what a header makes of them.
SEEDS = {
    "0": "0",
    "-1": "-1",
    str(2**64): str(2**64),
    "%F0%9F%A6%8A": "%F0%9F%A6%8A",
    "%00": "%00",
    "a%0D%0AX: y": "a%0D%0AX%3A%20y",
    "a+b": "a%20b",
    "a%26seed%3Db": "a%26seed%3Db",
    "x" * 4096: "x" * 4096,
}


@pytest.mark.parametrize("address", GOOD)
def test_the_last_good_value_is_drawn(faces, address) -> None:
    answer = faces.get(address)
    assert answer.status_code == 200, answer.text
    Image.open(io.BytesIO(answer.content)).load()


@pytest.mark.parametrize(("address", "name"), BAD)
def test_the_first_bad_value_is_named(faces, address, name) -> None:
    answer = faces.get(address)
    assert answer.status_code == 422
    told = answer.json()
    assert told["parameter"] in (name, "dpr")
    assert told["allowed"]
    assert answer.headers["cache-control"] == "no-store"


def test_every_parameter_has_a_row() -> None:
    said = {(beside[1:].partition("?")[0], name) for beside, name, _, _ in EDGES}
    tested = {name for _, name in said} | {"seed", "from", "to", "coarse", "fine"}
    assert tested == {row.name for kind in PICTURE_TYPES for row in kind.parameters}


@pytest.mark.parametrize("kind", PICTURE_TYPES, ids=lambda kind: kind.path[1:])
def test_what_a_picture_needs_is_asked_for(faces, kind) -> None:
    needed = [row.name for row in kind.parameters if row.required]
    answer = faces.get(kind.path)
    if kind.path == "/sheet":
        needed = ["seeds"]  # or count
    assert (answer.status_code == 200) == (not needed)
    assert not needed or answer.json()["parameter"] == needed[0]


@pytest.mark.parametrize("kind", PICTURE_TYPES, ids=lambda kind: kind.path[1:])
def test_its_own_example_is_drawn(faces, kind) -> None:
    answer = faces.get(kind.example)
    assert answer.status_code == 200
    assert faces.get(kind.example, headers={"If-None-Match": answer.headers["etag"]}).content == b""


@pytest.mark.parametrize(("written", "told"), SEEDS.items(), ids=lambda seed: seed[:12])
def test_hostile_seeds_are_seeds(faces, written, told) -> None:
    answer = faces.get(f"/avatar?size=16&seed={written}")
    assert (answer.status_code, answer.headers["x-avatar-seed"]) == (200, told)


@pytest.mark.parametrize(
    "address",
    [
        "/avatar?seed={}",
        "/avatar/{}.png",
        "/morph?to=a&t=0&from={}",
        "/morph?from=a&t=0&to={}",
        "/walk?seed={}",
        "/mix?fine=a&coarse={}",
        "/mix?coarse=a&fine={}",
        "/blend?seeds=a,{}",
        "/family?parents=a,{}",
        "/sheet?seeds=a,{}",
        "/og?seed={}",
    ],
)
@pytest.mark.parametrize("seed", ["x" * 4097, "%ff", "%ed%a0%80"], ids=["4097", "byte", "half"])
def test_a_seed_that_is_too_long_or_no_text_is_refused(faces, address, seed) -> None:
    answer = faces.get(address.format(seed))
    assert answer.status_code == 422
    assert "4,096" in answer.text or "4096" in answer.text or "UTF-8" in answer.text


@pytest.fixture
def without_avif(monkeypatch: pytest.MonkeyPatch):
    """A machine whose Pillow was built without AVIF."""
    monkeypatch.setattr(formats.features, "check", lambda part: part != "avif")
    formats.writable_formats.cache_clear()
    yield
    formats.writable_formats.cache_clear()


@pytest.mark.parametrize(
    "address", ["/avatar?seed=a&format=avif", "/avatar/a.avif", "/og?seed=a&format=avif"]
)
def test_a_format_that_the_machine_lacks_is_refused_with_those_it_has(
    without_avif, faces, address
) -> None:
    answer = faces.get(address)
    assert answer.status_code == 422
    told = answer.json()
    assert "cannot write" in told["detail"]
    assert "webp" in told["allowed"]
    assert "avif" not in told["allowed"]


def test_a_format_that_the_machine_lacks_is_not_negotiated(without_avif, faces) -> None:
    answer = faces.get("/avatar?seed=a", headers={"Accept": "image/avif,image/webp;q=0.9"})
    assert answer.headers["content-type"] == "image/webp"


@pytest.mark.parametrize(
    ("address", "format"),
    [
        ("/morph?from=a&to=b", "png"),
        ("/morph?from=a&to=b&t=0", "bmp"),
        ("/walk?seed=a", "jpeg"),
        ("/sheet?count=2", "svg"),
        ("/sheet?count=2", "gif"),
        ("/family?parents=a,b", "svg"),
        ("/og?seed=a", "apng"),
    ],
)
def test_a_format_that_a_picture_cannot_be_is_named(faces, address, format) -> None:
    answer = faces.get(f"{address}&format={format}")
    assert (answer.status_code, answer.json()["parameter"]) == (422, "format")
    assert format not in answer.json()["allowed"]
