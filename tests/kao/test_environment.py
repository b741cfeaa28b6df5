"""Variables that are named like settings: those that are none get a sentence."""

import os
import re
from pathlib import Path

import pytest

from kao.environment import explain_unknown
from tests.kao.conftest import Kao

ROOT = Path(__file__).parents[2]


def test_a_misspelt_setting_is_named_with_the_one_that_was_meant() -> None:
    variables = ["KAO_PROT", "kao_hmoe", "KAO_FOOBAR", "KAOS"]
    known = ["KAO_PORT", "kao_port", "KAO_API_KEY_FILE", "KAO_SITE", "PATH"]
    kubernetes = ["KAO_SERVICE_HOST", "KAO_SERVICE_PORT_HTTP", "KAO_PORT_80_TCP_ADDR"]
    sentences = dict(explain_unknown(variables + known + kubernetes))
    assert sentences.keys() == {"KAO_PROT", "kao_hmoe", "KAO_FOOBAR"}
    assert "did you mean KAO_PORT?" in sentences["KAO_PROT"]
    assert "did you mean KAO_HOME?" in sentences["kao_hmoe"]
    assert "did you mean" not in sentences["KAO_FOOBAR"]


def test_every_variable_of_the_compose_files_is_known() -> None:
    files = [*ROOT.glob("docker-compose*.yml"), *(ROOT / "deploy").rglob("*.env")]
    texts = [file.read_text() for file in [*files, ROOT / "deploy" / "Caddyfile"]]
    variables = {name for text in texts for name in re.findall(r"\bKAO_[A-Z_]+", text)}
    assert dict(explain_unknown(variables)) == {}


def test_a_misspelt_setting_is_said_once_and_the_command_runs(
    quick: Kao, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, table, message = quick("keys", "list", KAO_PROT="9000")
    assert (code, "first" in table) == (0, True)
    assert message.count("KAO_PROT") == 1
    assert "KAO_PROT" not in os.environ  # the processes of `kao up` do not repeat it
