"""The adversary itself: a seed replays a schedule, a short attack holds, planted defects are found.

The long attacks are by hand: `python -m tests.adversary --seed 7 --minutes 60`, and
`pytest -m adversary`, which takes up to five minutes for each planted defect.
"""

import runpy
from pathlib import Path
from typing import get_args

import pytest

from tests.adversary.cluster import Mode
from tests.adversary.driver import Plan, run
from tests.adversary.schedule import client_order, plan, targets
from tests.support.servers import Postgres

DEFECTS: dict[str, str] = {
    "lost-runs": "no run is lost",
    "split-idempotency-keys": "an idempotency key stands for one run",
    "old-aliases": "default is not older than its bound",
    "cached-keys": "a key opens doors until it is revoked",
    "swapped-faces": "a face has the bytes of its version",
    "skipped-promotions": "no promotion is lost or repeated",
}


def test_a_seed_replays_its_schedule_and_another_one_has_another() -> None:
    first, again = (plan(7, 0, 600, "postgresql") for _ in range(2))
    assert first == again
    assert first != plan(8, 0, 600, "postgresql")
    assert first != plan(7, 1, 600, "postgresql")
    assert client_order(7, 0, 1).random() == client_order(7, 0, 1).random()
    assert client_order(7, 0, 1).random() != client_order(7, 0, 2).random()


@pytest.mark.parametrize("mode", get_args(Mode))
def test_every_kind_of_fault_and_every_target_comes(mode: Mode) -> None:
    possible = {(kind, name) for kind, names in targets(mode).items() for name in names}
    assert {(one.kind, one.target) for one in plan(1, 0, 20_000, mode)} == possible


def test_every_planted_defect_has_its_rule() -> None:
    module = runpy.run_path(str(Path(__file__).with_name("planted") / "sitecustomize.py"))
    assert module["DEFECTS"].keys() == DEFECTS.keys()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_short_attack_finds_nothing(tmp_path: Path) -> None:
    """One round without the services of many hosts, so that it is over in a minute."""
    report = run(tmp_path, Plan(1, 1, "sqlite", round_seconds=20, trains=False))
    assert report.violations == []
    assert sum(report.answers.values()) > 20


@pytest.mark.adversary
@pytest.mark.soak  # by hand alone
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found_within_five_minutes(tmp_path: Path, defect: str) -> None:
    if Postgres.binaries() is None:
        pytest.skip("no PostgreSQL here: `apt-get install postgresql`")
    attack = Plan(1, 300, "postgresql", defect, trains=False)  # the planted defects are in the apps
    report = run(tmp_path, attack, stop_at_first=True)
    assert DEFECTS[defect] in {violation.rule for _, violation in report.violations}
    assert report.seconds < 300
