"""Invalid parameters are refused by name, with the values that are possible."""

import pytest
from starlette.testclient import TestClient

BAD = [
    pytest.param("size=0", "size", "16 to 1024", id="size-0"),
    pytest.param("size=15", "size", "16 to 1024", id="below-smallest"),
    pytest.param("size=1025", "size", "16 to 1024", id="above-largest"),
    pytest.param("size=abc", "size", "16 to 1024", id="no-number"),
    pytest.param("size=", "size", "16 to 1024", id="empty-size"),
    pytest.param("size=64.0", "size", "16 to 1024", id="a-fraction"),
    pytest.param("size=+64", "size", "16 to 1024", id="a-space"),
    pytest.param("size=%D9%A6%D9%A4", "size", "16 to 1024", id="arabic-digits"),
    pytest.param("size=64&size=64", "size", "once", id="size-twice"),
    pytest.param("seed=1&seed=2", "seed", "once", id="seed-twice"),
    pytest.param("format=bmp", "format", "png", id="unknown-format"),
    pytest.param("psi=-1", "psi", "to 1.5", id="negative-psi"),
    pytest.param("psi=1.6", "psi", "to 1.5", id="psi-above"),
    pytest.param("psi=nan", "psi", "to 1.5", id="nan"),
    pytest.param("psi=1e0", "psi", "to 1.5", id="exponent"),
    pytest.param("model=", "model", "alias", id="empty-model"),
    pytest.param("colour=red", "colour", "seed", id="unknown-parameter"),
    pytest.param("Seed=1", "Seed", "seed", id="capital"),
    pytest.param("seed=%ff", "seed", "UTF-8", id="no-utf-8"),
    pytest.param("seed=%ed%a0%80", "seed", "UTF-8", id="a-surrogate"),
]


@pytest.mark.parametrize(("query", "parameter", "allowed"), BAD)
def test_a_bad_parameter_is_named_with_its_domain(
    client: TestClient, query: str, parameter: str, allowed: str
) -> None:
    response = client.get(f"/avatar?{query}")
    assert response.status_code == 422
    problem = response.json()
    assert problem["parameter"] == parameter
    assert allowed in str(problem["allowed"])
    assert parameter in problem["detail"]


def test_a_seed_has_at_most_4096_bytes(client: TestClient) -> None:
    assert client.get("/avatar", params={"seed": "é" * 2048, "size": 16}).status_code == 200
    response = client.get("/avatar", params={"seed": "é" * 2049})
    assert response.status_code == 422
    assert "4098" in response.json()["detail"]


@pytest.mark.parametrize(
    ("model", "hint"), [("nobody", "GET /models"), ("0" * 64, "GET /models"), ("abc", "12")]
)
def test_an_unknown_model_is_404(client: TestClient, model: str, hint: str) -> None:
    response = client.get("/avatar", params={"seed": "1", "model": model})
    assert response.status_code == 404
    assert hint in response.json()["detail"]
