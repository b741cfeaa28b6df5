"""Prometheus' own promtool checks the alert rules and tries each of them."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed here; Debian's package prometheus has it")
    command = ["promtool", *words]
    return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60)


def test_promtool_knows_every_rule() -> None:
    process = promtool("check", "rules", "alerts.yaml")
    assert process.returncode == 0, process.stdout + process.stderr


def test_every_rule_raises_its_alert_and_only_then() -> None:
    process = promtool("test", "rules", "alerts_test.yaml")
    assert process.returncode == 0, process.stdout + process.stderr


def test_every_rule_is_tried() -> None:
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"][0]["rules"]
    tests = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())["tests"]
    rows = [row for test in tests for row in test["alert_rule_test"]]
    names = {rule["alert"] for rule in rules}
    assert {row["alertname"] for row in rows if row.get("exp_alerts")} == names
    assert {row["alertname"] for row in rows if not row.get("exp_alerts")} == names
