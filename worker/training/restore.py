"""Restores a run's training state: from its own snapshot, another run, or a model."""

import contextlib
from typing import Any

import sqlalchemy as sa
import structlog
from safetensors.torch import load_file

from models import bundle, runs
from models.errors import DatasetError, KaoError, UnknownRun
from models.registry import Registry
from models.settings import Settings
from models.storage import layout
from worker.training import label_extension, snapshots
from worker.training.trainer import Trainer

State = dict[str, Any]
log = structlog.get_logger()


def restore(
    trainer: Trainer, settings: Settings, engine: sa.Engine, row: runs.Row, fingerprint: str
) -> State | None:
    """Bring the trainer to where the run begins; the snapshot's own fields, None for a new run.

    Raises DatasetError when a run's set changed under it, KaoError when its source is gone.
    """
    if row["snapshot"] is not None:
        state = _snapshot(settings, row)
        if state["fingerprint"] != fingerprint:
            raise DatasetError("The dataset has changed since this run began; start a new run.")
        if state.get("labels", trainer.labels) != trainer.labels:
            raise DatasetError("The labels have changed since this run began; start a new run.")
        trainer.restore(state["trainer"])
        return state
    source = trainer.recipe.start_from
    if source is None:
        return None
    try:
        parent = runs.get(engine, source)
    except UnknownRun:
        card = _fine_tune(trainer, Registry(engine, settings.blobs), source)
        _take_discriminator(trainer, settings, engine, card["parent_run"])
        return None
    if parent["snapshot"] is None:
        raise KaoError(f"Run {source} has no snapshot to start from.")
    state = _snapshot(settings, parent)
    is_same_set = state["fingerprint"] == fingerprint
    label_extension.check_values(trainer.labels, state.get("labels", []), f"Run {source}")
    if trainer.recipe.hidden_labels == parent["recipe"].get("hidden_labels", []):
        trainer.restore(trainer.with_own_intervals(state["trainer"]))
    elif is_same_set:
        trainer.restore(trainer.with_new_labels(state["trainer"]))
    else:
        raise KaoError(f"Only on the set of run {source} can `hidden_labels` be added to it.")
    trainer.begin(trainer.images, trainer.images if is_same_set else 0, parent["id"])
    return None


def _snapshot(settings: Settings, row: runs.Row) -> State:
    folder = settings.storage / layout.snapshots(row["id"])
    settings.blobs.fetch(folder / row["snapshot"])
    # Steps are reproducible: from an older snapshot the run only takes longer to the same weights.
    for name in snapshots.newest_first(folder, row["snapshot"]):
        try:
            return snapshots.read(folder, name)
        except (FileNotFoundError, snapshots.DamagedSnapshot) as error:
            log.error("snapshot.unreadable", run=row["id"], reason=str(error))
    raise KaoError(f"No snapshot of run {row['id']} is there and whole; start a new run.")


def _take_discriminator(
    trainer: Trainer, settings: Settings, engine: sa.Engine, run: str | None
) -> None:
    """Start from the discriminator that a published generator was trained beside, where it is here.

    A random one at the full rate would make a finished generator forget before it learns
    (arXiv:2002.10964). Bundles have none, so it comes from the last snapshot of the model's run.
    """
    state: State = {}
    if run is not None:
        with contextlib.suppress(KaoError):
            row = runs.get(engine, run)
            if row["snapshot"] is not None:
                state = _snapshot(settings, row)["trainer"]
    count = trainer.take_discriminator(state.get("discriminator") or {}, state.get("heads") or {})
    log.info("discriminator.inherited", run=run, tensors=count)


def _fine_tune(trainer: Trainer, registry: Registry, name: str) -> dict[str, Any]:
    """Load a published generator; its card."""
    version = registry.resolve(name)
    folder = registry.fetch(version)
    card = bundle.read_card(folder)
    labels = card.get("attributes", [])
    label_extension.check_values(trainer.labels, labels, f"Model {version[:12]}")
    trainer.take_generator(load_file(folder / bundle.WEIGHTS))
    # No image of this set has been seen, whatever the generator was trained on.
    trainer.begin(card["training"]["images"], parent=version)
    return card
