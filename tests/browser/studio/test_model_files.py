"""Models are downloaded and uploaded by the buttons of the studio."""

import os
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from models.bundle.archive import stream
from tests.browser.conftest import write_plain_bundle
from tests.browser.studio.types import Enter
from tests.browser.types import tab_to
from tests.browser.waits import next_document

pytestmark = pytest.mark.slow


@pytest.fixture
def foreign_model(tmp_path: Path) -> Path:
    """A zip of a model that another server published."""
    path = tmp_path / "model.zip"
    folder = write_plain_bundle(tmp_path / "model")
    path.write_bytes(b"".join(stream(folder)))
    return path


def test_a_model_is_downloaded_and_uploaded_without_a_mouse(
    enter: Enter, foreign_model: Path, finished_run: dict[str, Any]
) -> None:
    page = enter("/studio/models")
    # The renderer learns from the first listener that it must not open a dialog of the system;
    # a key that is pressed right after expect_file_chooser can arrive before that.
    page.on("filechooser", lambda _: None)
    version = finished_run["version"]
    tab_to(page, f"a[href='/models/{version}/bundle.zip']")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == f"kao-{version[:12]}.zip"
    with zipfile.ZipFile(download.value.path()) as files:
        assert "card.json" in files.namelist()
    tab_to(page, "#zip")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(foreign_model)
    expect(page.locator("#chosen")).to_have_text("model.zip")
    tab_to(page, "#send")
    with next_document(page, 120_000):
        page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/studio/models/[0-9a-f]{64}$"))
    expect(page.locator("#toast")).to_contain_text("verified")
    expect(page.get_by_role("button", name="Promote", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Download")).to_be_visible()


@pytest.mark.parametrize(
    ("locale", "sending", "none"),
    [
        pytest.param("en-GB", re.compile("[0-9] % sent"), "Choose a zip first.", id="en"),
        pytest.param("zh-CN", re.compile("已上传 [0-9]+ %"), "请先选择一个 ZIP。", id="zh"),
    ],
)
def test_a_long_upload_shows_its_progress_and_then_the_reason_of_its_refusal(
    enter: Enter, tmp_path: Path, locale: str, sending: re.Pattern[str], none: str
) -> None:
    path = tmp_path / "noise.zip"
    path.write_bytes(os.urandom(1 << 19))
    page = enter("/studio/models", locale=locale)
    page.locator("#send").click()
    expect(page.get_by_role("alert")).to_have_text(none)
    page.locator("#zip").set_input_files(path)
    rates = {"downloadThroughput": -1, "uploadThroughput": 150_000}
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", {"offline": False, "latency": 0, **rates})
    page.locator("#send").click()
    expect(page.locator("#sending")).to_have_text(sending)
    expect(page.locator("#sent")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("zip", ignore_case=True, timeout=120_000)
    expect(page.locator("#sent")).to_be_hidden()
