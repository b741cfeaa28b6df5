"""The processes of a cluster: each runs once."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.adversary.cluster import Host


class Ended:
    """A process that was killed."""

    def poll(self) -> int:
        return -9


def test_a_host_that_is_being_started_has_not_ended_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A supervisor that took the killed process for the new one started a second one."""
    host, answers = Host("app-a", tmp_path / "log", {}), list[bool]()
    host.process = Ended()  # type: ignore[assignment]  # a host calls `poll` alone here

    def start(*_: Any, **__: Any) -> Ended:
        answers.append(host.has_ended())
        return Ended()

    monkeypatch.setattr(subprocess, "Popen", start)
    host.start()
    assert answers == [False]
    assert host.restart_if_ended()
    assert len(answers) == 2
