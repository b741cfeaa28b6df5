"""A traced face is an SVG without scripts."""

from xml.etree import ElementTree

from starlette.testclient import TestClient


def test_an_svg_is_one_with_its_size_and_its_shape(faces: TestClient) -> None:
    answer = faces.get("/avatar?seed=a&size=300&shape=circle&format=svg")
    root = ElementTree.fromstring(answer.content)
    name = "{http://www.w3.org/2000/svg}"
    assert (root.tag, root.get("width"), root.get("height")) == (f"{name}svg", "300", "300")
    assert root.find(f"{name}clipPath/{name}circle") is not None
    assert len(list(root.iter(f"{name}path"))) > 3
    assert b"<script" not in answer.content
    assert answer.headers["content-type"] == "image/svg+xml"
