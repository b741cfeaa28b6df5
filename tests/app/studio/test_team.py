"""The team page: names from text or CSV, each once, and what it links to."""

import pytest
from fastapi.testclient import TestClient

from app.studio.team import MOST_NAMES, parse_names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("\n  \r\n", [], id="blank lines"),
        pytest.param("Ada\n Grace \r\n\r\nAda\n", ["Ada", "Grace"], id="lines"),
        pytest.param('"Lovelace, Ada",x\n Turing ,y', ["Lovelace, Ada", "Turing"], id="quotes"),
        pytest.param("id;E-Mail\n1;a@b.c\n2\n3;d@e.f", ["a@b.c", "d@e.f"], id="semicolons"),
        pytest.param("\ufeff部门\t姓名\nA\t小明", ["小明"], id="tabs and a byte order mark"),
        pytest.param("Name", [], id="headings alone"),
        pytest.param("x" * 5000 + "\nAda", ["Ada"], id="too long for a seed"),
        pytest.param('a\n"b\nc', ["a", "b\nc".replace("\n", "")], id="a quote without an end"),
    ],
)
def test_names_are_read_from_lines_and_tables(text: str, names: list[str]) -> None:
    assert parse_names(text) == names


def test_a_team_page_has_every_name_once_as_text(client: TestClient) -> None:
    page = client.get("/team", params={"names": "Ada <b>\nGrace & co\nAda <b>"})
    assert page.status_code == 200
    assert page.text.count("<figure>") == 2
    assert "Ada &lt;b&gt;</figcaption>" in page.text
    assert "seed=Grace%20%26%20co" in page.text  # without JavaScript
    assert "<figure>" not in client.get("/team").text


def test_a_long_list_is_cut_and_says_so(client: TestClient) -> None:
    names = "\n".join(f"n{number}" for number in range(MOST_NAMES + 3))
    page = client.get("/team", params={"names": names}).text
    assert page.count("<figure>") == MOST_NAMES
    assert "the others are left out" in page


def test_a_list_that_is_too_long_for_an_address_comes_in_a_form(client: TestClient) -> None:
    names = "\n".join(f"{number},{'x' * 200},Ada {number}" for number in range(200))
    page = client.post("/team", data={"names": f"id,note,name\n{names}"})
    assert page.status_code == 200
    assert page.text.count("<figure>") == MOST_NAMES
    assert "Ada 199</figcaption>" in page.text


def test_a_form_that_is_too_large_is_refused_by_a_page(client: TestClient) -> None:
    accept = {"Accept": "text/html,*/*;q=0.8"}
    page = client.post("/team", data={"names": "x" * 100_000}, headers=accept)
    assert page.status_code == 413
    assert page.headers["content-type"].startswith("text/html")
    assert "at most 65,536 bytes" in page.text
