"""`python -m tests.adversary --seed 7 --minutes 60`: attack Kao, and report what gave way."""

import argparse
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

from tests.adversary.checker import check
from tests.adversary.driver import ROUND, Plan, attack
from tests.adversary.history import Record, Rest, read
from tests.adversary.report import Report
from tests.support.servers import Postgres


def main() -> int:
    """Exit code 0 without a violation, 1 with one, 2 where something is missing."""
    options = _parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every process is ended
    if options.judge:
        return _judge(options.judge)
    if options.mode == "postgresql" and Postgres.binaries() is None:
        print("No PostgreSQL here: `apt-get install postgresql`, or use `--mode sqlite`.")
        return 2
    folder = options.folder or Path(tempfile.mkdtemp(prefix="kao-adversary-"))
    total, seeds = Report(), list(range(options.seed, options.seed + options.seeds))
    try:
        while seeds and not (options.stop and total.violations):
            # A cluster that fails, which is no violation, is replaced for the seeds after it.
            for report in _attack(folder / f"seed-{seeds[0]}", seeds, options):
                seeds.pop(0)
                print(*report.lines(), sep="\n", flush=True)
                total.add(report)
    finally:  # SIGTERM and Ctrl+C too
        print(f"without {len(seeds)} of {options.seeds} seeds, all in all:")
        print(*total.lines(), sep="\n")
    return 1 if total.violations or total.failures else 0


def _attack(folder: Path, seeds: list[int], options: argparse.Namespace) -> Iterator[Report]:
    """Attack a new cluster; a report for each seed, the last one of a failure if there was one."""
    folder.mkdir(parents=True, exist_ok=True)
    print(f"seed {seeds[0]}, {options.mode}: logs and history.jsonl in {folder}", flush=True)
    plan = Plan(
        seeds[0], 60 * options.minutes, options.mode, options.defect, options.faults,
        options.round, trains=options.defect is None,
    )  # fmt: skip
    try:
        yield from attack(folder, plan, list(seeds), options.stop)
    except Exception:
        yield Report(failures=[traceback.format_exc()])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="chooses operations and faults")
    parser.add_argument("--seeds", type=int, default=1, help="so many seeds, one after the other")
    parser.add_argument("--minutes", type=float, default=5.0, help="for each seed")
    parser.add_argument("--mode", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--round", type=float, default=ROUND, help="seconds of faults in a round")
    parser.add_argument("--faults", nargs="*", default=[], help="only these kinds")
    parser.add_argument("--defect", help="plant a defect (planted/sitecustomize.py)")
    parser.add_argument("--stop", action="store_true", help="stop at the first violation")
    parser.add_argument("--folder", type=Path, help="where to work; a new one in /tmp")
    parser.add_argument("--judge", type=Path, help="judge a history.jsonl again, and run nothing")
    return parser.parse_args()


def _judge(path: Path) -> int:
    """Judge each round of a history."""
    rounds: list[list[Record]] = []
    for record in read(path):
        if isinstance(record, Rest) and record.first:
            rounds.append([])
        rounds[-1].append(record)
    violations = [(number, one) for number, group in enumerate(rounds) for one in check(group)]
    for number, violation in violations:
        print(f"round {number}: {violation.rule}: {violation.detail}")
    print(f"{len(rounds)} rounds, {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
