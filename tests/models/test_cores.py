"""Serving, training and packing use the cores that a container may use, and no more."""

from pathlib import Path

import pytest

from models import cores
from models.settings import Settings

ROWS = [
    pytest.param("max 100000", 4, id="no-quota"),
    pytest.param("200000 100000", 2, id="two"),
    pytest.param("50000 100000", 1, id="half-a-core"),
    pytest.param("900000 100000", 4, id="more-than-there-are"),
    pytest.param("", 4, id="unreadable"),
    pytest.param(None, 4, id="no-cgroup"),
]


@pytest.mark.parametrize(("quota", "expected"), ROWS)
def test_the_cpu_quota_of_a_container_limits_the_cores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str | None, expected: int
) -> None:
    file = tmp_path / "cpu.max"
    if quota is not None:
        file.write_text(quota)
    monkeypatch.setattr(cores, "QUOTA", file)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    assert cores.available() == expected
    assert Settings(home=tmp_path).parallel == expected
    assert Settings(home=tmp_path, threads=3).parallel == 3


def test_no_other_module_counts_cores() -> None:
    root = Path(__file__).parents[2]
    names = ("cpu_count", "sched_getaffinity")
    counting = [
        str(path.relative_to(root))
        for room in ("app", "models", "worker")  # kao/doctor.py reports the machine
        for path in sorted((root / room).rglob("*.py"))
        if any(name in path.read_text("utf-8") for name in names)
    ]
    assert counting == ["models/cores.py"]
