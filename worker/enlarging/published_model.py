"""Gives a published model an enlarger: the same generator, published once more."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa
import torch

from models import bundle
from models.recipes.presets import ENLARGER_STEPS
from models.registry import Registry
from models.settings import Settings
from models.storage import atomic, layout
from worker.datasets import lookup
from worker.datasets.packing import PackedDataset
from worker.enlarging.pairs import Pairs
from worker.enlarging.stage import Event, Stage, StageProgress
from worker.enlarging.training import EnlargerTrainer, Plan
from worker.hardware import devices
from worker.publishing import bundle_writer

# Steps before and while the speed is measured, from which minutes become steps.
UNTIMED_STEPS, TIMED_STEPS = 5, 25


@dataclass(frozen=True)
class Options:
    """What to train, and on what. minutes: instead of steps, for as many as fit."""

    dataset: str
    minutes: float | None = None
    steps: int = ENLARGER_STEPS
    limit: int | None = None
    seed: int = 0
    width: int = 32
    blocks: int = 3
    fold: int = 1


@dataclass(frozen=True)
class Report:
    """Callbacks for events, packed pictures (count, total) and the training's progress."""

    event: Event
    packing: Callable[[int, int], None]
    training: Callable[[StageProgress], None]


class PublishedModel:
    """One version that gets an enlarger. What an interrupted training saved is continued."""

    def __init__(
        self, settings: Settings, engine: sa.Engine, version: str, options: Options, report: Report
    ) -> None:
        self.settings, self.engine, self.version = settings, engine, version
        self.options, self.report = options, report
        self.registry = Registry(engine, settings.blobs)
        device = devices.own()
        self.stage = Stage(device, devices.has_bf16(device), report.event)
        key = hashlib.sha256(json.dumps([version, asdict(options)]).encode()).hexdigest()[:32]
        self.snapshot = settings.home / layout.enlarging(key)

    def enlarge(self, is_stopped: Callable[[], bool]) -> str | None:
        """Train and publish; the new version.

        None where it was stopped, which saves what is trained, and where nothing is published.
        """
        card = bundle.Card.model_validate(self.registry.get(self.version)["card"])
        pairs = self.stage.find_pairs(self._pack, card.network.resolution, self.options.limit)
        if pairs is None:
            return None
        self._begin(pairs)
        self.stage.train(is_stopped, self.report.training, self._save)
        self._save()
        if is_stopped():
            return None
        enlarger, new_version = self.stage.result(), None
        if enlarger is not None:
            new_version = bundle_writer.with_enlarger(self.registry, self.version, enlarger)
        self.snapshot.unlink(missing_ok=True)
        return new_version

    def _pack(self, side: int, most: int) -> PackedDataset:
        name, report = self.options.dataset, self.report.packing
        return lookup.pack_named(self.settings, self.engine, name, side, most, report, side)

    def _begin(self, pairs: Pairs) -> None:
        state = self._read_snapshot()
        plan = Plan(**state["trainer"]["plan"]) if state else self._plan(pairs)
        self.stage.begin(pairs, plan)
        self.stage.restore(state)

    def _plan(self, pairs: Pairs) -> Plan:
        options = self.options
        plan = Plan(options.width, options.blocks, options.fold, options.steps, options.seed)
        if options.minutes is None:
            return plan
        trainer = EnlargerTrainer(pairs, plan, self.stage.device, self.stage.bf16)
        for _ in range(UNTIMED_STEPS):
            trainer.advance()
        start = time.monotonic()
        for _ in range(TIMED_STEPS):
            trainer.advance()
        seconds = (time.monotonic() - start) / TIMED_STEPS
        steps = max(1, round(options.minutes * 60 / seconds))
        return replace(plan, steps=steps)

    def _save(self) -> None:
        with atomic.whole_file(self.snapshot) as temporary, temporary.open("wb") as file:
            torch.save(self.stage.state(), file)

    def _read_snapshot(self) -> dict[str, Any] | None:
        if not self.snapshot.exists():
            return None
        state: dict[str, Any] = torch.load(self.snapshot, map_location="cpu", weights_only=True)
        return state
