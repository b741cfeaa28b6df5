"""Logging must not fail what it describes."""

import contextlib
import logging
import sys
from pathlib import Path

import pytest
import structlog

from models import logs


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_log_on_a_full_disk_fails_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.suppress(OSError), open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        logs.configure()
        structlog.get_logger().info("request.answered")
        logging.getLogger("uvicorn.error").error("text")
        structlog.get_logger().info("request.answered")


def test_a_log_line_is_one_line_of_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        logs.configure()
        structlog.get_logger().info("request.answered", status=200)
        (line,) = (tmp_path / "log").read_text().splitlines()
    assert '"event": "request.answered"' in line
