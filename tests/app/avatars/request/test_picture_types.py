"""Every parameter of every picture at its edges: the last valid value and the first invalid one."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from app.avatars import formats
from app.avatars.request.picture_types import PICTURE_TYPES, PictureType
from tests.support.pictures import get_image

# The shortest request of each picture type that draws few faces.
SHORTEST = {
    "/avatar": "/avatar?seed=a",
    "/morph": "/morph?from=a&to=b&frames=2",
    "/walk": "/walk?seed=a&stops=2&frames=2",
    "/grow": "/grow?seed=a&frames=2",
    "/mix": "/mix?coarse=a&fine=b",
    "/blend": "/blend?seeds=a",
    "/family": "/family?parents=a,b&children=1",
    "/sheet": "/sheet?count=1",
    "/og": "/og?seed=a",
}
Edges = tuple[list[str], list[str]]  # valid and invalid values
# Parameters of several picture types, tried with each of them.
SHARED: dict[str, Edges] = {
    "size": (["16"], ["15", "1025", "1000000000", "-16", "0x10", ""]),
    "dpr": (["1", "1.5", "4"], ["0", "0.9", "4.1", "1e0", "inf", ""]),
    "psi": (["0", "1.5", ".5"], ["-0.1", "1.51", "nan", "1,5", ""]),
    "shape": (["square", "circle", "rounded"], ["Circle", "oval", ""]),
    "backdrop": (
        ["fff", "FFEEDD", "%23ffeedd", "transparent"],
        ["ff", "ffee", "ffeeddcc", "white", "ggg", ""],
    ),
    "variant": (["0", "999"], ["-1", "1000", "1.0", ""]),
    "best_of": (["1"], ["0", "17", "1000000000", ""]),
    "age": (["0", "0.5", "1"], ["-0.1", "-0", "1.01", "young", ""]),
    "model": (["default", "latest"], ["", "a" * 65]),
    "frames": (["2", "64"], ["1", "65", "1000000000", ""]),
    "fps": (["1", "29.97", "30"], ["0", "0.99", "30.1", ""]),
    "ease": (["linear", "sine", "cubic"], ["bounce", ""]),
    "columns": (["1", "100"], ["0", "101", ""]),
    "gap": (["0", "64"], ["-1", "65", ""]),
}
# Requests without the parameter, its name, valid and invalid values.
OTHER: list[tuple[str, str, list[str], list[str]]] = [
    ("/avatar?seed=a", "size", ["1024"], []),
    ("/morph?from=a&to=b&size=16", "t", ["0", "0.5", "1"], ["-0.1", "1.01", "nan", ""]),
    ("/morph?from=a&to=b&frames=2", "size", ["512"], ["513", "1024"]),
    ("/morph?from=a&to=b&t=0.5", "size", ["1024"], ["1025"]),
    ("/walk?seed=a&size=16", "stops", ["2", "12"], ["1", "13", ""]),
    ("/mix?coarse=a&fine=b&size=16", "at", ["0", "2"], ["64", "65", "-1", ""]),
    ("/blend?size=16", "seeds", ["a", "a:2,b:.5", "a,b:0"], ["a:0", "a:-1", "a:x", "a:1:2"]),
    ("/blend?size=16", "seeds", [",".join("a" * 32)], [",".join("a" * 33)]),
    ("/family?size=16", "parents", ["a,b", "a,a", ",", "a%252Cb,c"], ["a", "a,b,c", "a,%25ff"]),
    ("/family?parents=a,b&size=16", "children", ["1", "16"], ["0", "17", ""]),
    ("/family?parents=a,b&size=16", "child", ["0", "15"], ["-1", "16", ""]),
    ("/sheet?count=4&size=16", "start", ["0", "999999"], ["-1", "1000000", ""]),
    ("/sheet?size=16", "count", ["1", "100"], ["0", "101", ""]),
    ("/sheet?size=16", "seeds", ["a", ",".join("a" * 100)], [",".join("a" * 101), "%25ff"]),
    ("/sheet?columns=100&count=100", "size", ["40"], ["41"]),
]
# With a dpr, it is the dpr that makes a size too large.
TOO_LARGE_WITH_DPR = ["/avatar?seed=a&dpr=2&size=513", "/mix?coarse=a&fine=b&dpr=4&size=257"]
# Parameters that hold seeds, `{}` in place of a seed.
SEEDS_IN = [
    "/avatar?seed={}",
    "/avatar/{}.png",
    "/morph?to=a&t=0&from={}",
    "/morph?from=a&t=0&to={}",
    "/walk?seed={}",
    "/grow?seed={}",
    "/mix?fine=a&coarse={}",
    "/mix?coarse=a&fine={}",
    "/blend?seeds=a,{}",
    "/family?parents=a,{}",
    "/sheet?seeds=a,{}",
    "/og?seed={}",
]


def _rows() -> Iterator[tuple[str, str, list[str], list[str]]]:
    """Requests without the parameter, its name, valid and invalid values."""
    for picture_type in PICTURE_TYPES:
        for name, (valid, invalid) in SHARED.items():
            if name in picture_type.names:
                base = _without(SHORTEST[picture_type.path], name)
                is_small = name != "size" and "size" in picture_type.names
                yield f"{base}{'&size=16' if is_small else ''}", name, valid, invalid
    yield from OTHER


def _without(address: str, name: str) -> str:
    path, _, query = address.partition("?")
    return f"{path}?{'&'.join(part for part in query.split('&') if part.split('=')[0] != name)}"


def _id(request: str, name: str, value: str) -> str:
    return f"{request[1:20]}-{name}={value[:12]}"


ROWS = list(_rows())
VALID = [
    pytest.param(f"{request}&{name}={value}", id=_id(request, name, value))
    for request, name, values, _ in ROWS
    for value in values
]
INVALID = [
    pytest.param(f"{request}&{name}={value}", name, id=_id(request, name, value))
    for request, name, _, values in ROWS
    for value in values
]
# Seeds that break parsers, with the value of X-Avatar-Seed.
HOSTILE_SEEDS = {
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
every_type = pytest.mark.parametrize("picture_type", PICTURE_TYPES, ids=lambda row: row.name)


@pytest.mark.parametrize("address", VALID)
def test_the_last_valid_value_is_drawn(faces: TestClient, address: str) -> None:
    get_image(faces, address)


@pytest.mark.parametrize(
    ("address", "name"), [*INVALID, *((address, "dpr") for address in TOO_LARGE_WITH_DPR)]
)
def test_the_first_invalid_value_is_named(faces: TestClient, address: str, name: str) -> None:
    response = faces.get(address)
    assert response.status_code == 422
    problem = response.json()
    assert problem["parameter"] == name
    assert problem["allowed"]
    assert response.headers["cache-control"] == "no-store"


def test_every_parameter_of_every_picture_has_a_row() -> None:
    rows = {(request.partition("?")[0], name) for request, name, _, _ in ROWS}
    for request in SEEDS_IN:
        path, _, query = request.partition("?")
        rows |= {(path, part.split("=")[0]) for part in query.split("&") if "{}" in part}
    assert rows == {(row.path, name) for row in PICTURE_TYPES for name in row.by_name}


@every_type
def test_a_missing_parameter_is_named(faces: TestClient, picture_type: PictureType) -> None:
    required_names = [row.name for row in picture_type.parameters if row.required]
    response = faces.get(picture_type.path)
    if picture_type.path == "/sheet":
        required_names = ["seeds"]  # or count
    assert (response.status_code == 200) == (not required_names)
    assert not required_names or response.json()["parameter"] == required_names[0]


@every_type
def test_its_own_example_is_drawn(faces: TestClient, picture_type: PictureType) -> None:
    response = faces.get(picture_type.example)
    assert response.status_code == 200
    headers = {"If-None-Match": response.headers["etag"]}
    assert faces.get(picture_type.example, headers=headers).content == b""


@pytest.mark.parametrize(
    ("seed", "header"), HOSTILE_SEEDS.items(), ids=[seed[:12] for seed in HOSTILE_SEEDS]
)
def test_a_hostile_seed_is_a_seed(faces: TestClient, seed: str, header: str) -> None:
    response = faces.get(f"/avatar?size=16&seed={seed}")
    assert (response.status_code, response.headers["x-avatar-seed"]) == (200, header)


@pytest.mark.parametrize("address", SEEDS_IN)
@pytest.mark.parametrize("seed", ["x" * 4097, "%ff", "%ed%a0%80"], ids=["4097", "byte", "half"])
def test_a_seed_that_is_too_long_or_not_utf_8_is_refused(
    faces: TestClient, address: str, seed: str
) -> None:
    response = faces.get(address.format(seed))
    assert response.status_code == 422
    assert any(text in response.text for text in ("4,096", "4096", "UTF-8"))


@pytest.fixture
def pillow_without_avif(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose Pillow was built without AVIF."""
    monkeypatch.setattr("PIL.features.check", lambda feature: feature != "avif")
    formats.writable_formats.cache_clear()
    yield
    formats.writable_formats.cache_clear()


@pytest.mark.usefixtures("pillow_without_avif")
@pytest.mark.parametrize(
    "address", ["/avatar?seed=a&format=avif", "/avatar/a.avif", "/og?seed=a&format=avif"]
)
def test_a_format_that_the_machine_lacks_is_refused_with_those_it_has(
    faces: TestClient, address: str
) -> None:
    response = faces.get(address)
    assert response.status_code == 422
    problem = response.json()
    assert "cannot write" in problem["detail"]
    assert "webp" in problem["allowed"]
    assert "avif" not in problem["allowed"]


@pytest.mark.usefixtures("pillow_without_avif")
def test_a_format_that_the_machine_lacks_is_not_negotiated(faces: TestClient) -> None:
    response = faces.get("/avatar?seed=a", headers={"Accept": "image/avif,image/webp;q=0.9"})
    assert response.headers["content-type"] == "image/webp"


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
def test_a_format_that_a_picture_cannot_have_is_named(
    faces: TestClient, address: str, format: str
) -> None:
    response = faces.get(f"{address}&format={format}")
    assert (response.status_code, response.json()["parameter"]) == (422, "format")
    assert format not in response.json()["allowed"]
