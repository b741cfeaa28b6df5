"""The team page in a browser: distinct faces as they come, a ZIP and a sheet of them."""

import csv
import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.types import Visit
from tests.browser.waits import click_to_load, next_document

pytestmark = pytest.mark.slow  # a second each, and some tens of them


def test_a_csv_file_becomes_faces_a_zip_and_a_sheet(visit: Visit, tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    table.write_text('id,name\n1,"Lovelace, Ada"\n2,Grace\n3,a/b\n', encoding="utf-8")
    page = visit("/team", accept_downloads=True)
    with next_document(page):
        page.locator("#file").set_input_files(table)
    faces = page.locator("#team figure img")
    expect(faces).to_have_count(3)
    expect(page.locator("#done")).to_have_text("3 of 3 drawn")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download ZIP").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        *pictures, index = archive.namelist()
        assert pictures == ["1 Lovelace, Ada.webp", "2 Grace.webp", "3 a_b.webp"]
        contents = [archive.read(name) for name in pictures]
        rows = list(csv.reader(io.StringIO(archive.read(index).decode())))
    assert len(set(contents)) == 3
    assert {Image.open(io.BytesIO(content)).size for content in contents} == {(256, 256)}
    assert [row[0] for row in rows] == ["name", "Lovelace, Ada", "Grace", "a/b"]
    answer = page.request.get(rows[1][1])
    assert answer.body() == contents[0]
    with page.expect_download() as download:
        page.get_by_role("button", name="Download sheet").click()
    with Image.open(download.value.path()) as sheet:
        assert sheet.size == (2 * 256, 2 * (256 + 40))


@pytest.mark.parametrize(
    ("coding", "locale", "name"),
    [
        pytest.param("cp1252", "en-GB", "José Müller", id="Western Windows"),
        pytest.param("gbk", "zh-CN", "王小明", id="Chinese Windows"),
        pytest.param("utf-16", "en-GB", "Жанна", id="Unicode text"),
        pytest.param("utf-8-sig", "en-GB", "Zoë", id="UTF-8 with a mark"),
    ],
)
def test_a_table_is_read_in_the_coding_of_its_program(
    visit: Visit, tmp_path: Path, coding: str, locale: str, name: str
) -> None:
    table = tmp_path / "people.csv"
    table.write_bytes(f"Name;Team\r\n{name};A\r\n".encode(coding))
    page = visit("/team", locale=locale)
    with next_document(page):
        page.locator("#file").set_input_files(table)
    expect(page.locator("#team figcaption")).to_have_text(name)
    expect(page.locator("#team figure img")).to_have_count(1)


def test_names_that_are_pasted_stay_in_the_address(visit: Visit) -> None:
    page = visit("/team", width=320)
    page.get_by_label("Names, one a line").fill("Ada\nGrace")
    click_to_load(page.get_by_role("button", name="Draw the faces"))
    assert page.url.endswith("/team?names=Ada%0D%0AGrace")
    expect(page.locator("#team figure img")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_team_needs_no_script(visit: Visit) -> None:
    page = visit("/team?names=Ada%0AGrace", java_script_enabled=False)
    expect(page.locator("#team figure img")).to_have_count(2)


def test_the_faces_fill_the_width_of_a_phone(visit: Visit) -> None:
    page = visit("/team?names=a%0Ab%0Ac%0Ad")
    page.set_viewport_size({"width": 390, "height": 844})
    figures = page.locator("#team figure")
    expect(figures).to_have_count(4)
    right = figures.nth(2).evaluate("one => one.getBoundingClientRect().right")
    assert 340 < right <= 390  # three in a row, up to the margin


def test_a_long_table_comes_whole_and_not_in_the_address(visit: Visit, tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    rows = "".join(f"{n},Person {n},person{n}@example.com,{'street ' * 20}\n" for n in range(1000))
    table.write_text(f"id,name,email,address\n{rows}", encoding="utf-8")
    page = visit("/team")
    with next_document(page):
        page.locator("#file").set_input_files(table)
    expect(page.locator("#team figcaption")).to_have_count(200)
    expect(page.locator("#team figcaption").last).to_have_text("Person 199")
    expect(page.get_by_text("Only the first 200 are drawn")).to_be_visible()
    assert page.url.endswith("/team")
