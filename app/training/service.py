"""Starts and resumes runs: validates the recipe, stores the run, and wakes a worker."""

import hashlib
from typing import Any

from fastapi import BackgroundTasks

from app.errors import InvalidParameter
from app.state import AppState
from app.training import queue
from models import recipe_inheritance, runs
from models.datasets import catalogue
from models.errors import TrainingNotInstalled
from models.name_and_note import Description
from models.runs import Row

MAX_IDEMPOTENCY_KEY = 200  # characters


def start(
    state: AppState,
    tasks: BackgroundTasks,
    body: dict[str, Any],
    owner: str,
    idempotency_key: str | None,
    description: Description | None = None,
) -> tuple[Row, bool]:
    """Store a queued run; its row, and whether it is new. owner: the id of the API key.

    Raises InvalidRecipe, UnknownDataset, TrainingNotInstalled, QueueRefuses, LimitReached, and
    ForbiddenMove for an idempotency key that came with another body.
    """
    scoped_key = _scope(idempotency_key, owner)
    if scoped_key is not None:
        # Before anything that may have changed since: the dataset, the model, the queue.
        existing = runs.find_repeated(state.database, body, scoped_key)
        if existing is not None:
            tasks.add_task(queue.wake, state.settings)
            return existing, False
    recipe = recipe_inheritance.resolve(state.database, state.registry, body)
    catalogue.check_recipe(state.database, state.settings, recipe)
    _check_installed(state)
    queue.check(state.settings)
    row, is_new = runs.create(state.database, recipe, body, scoped_key, description)
    # After the answer: a Redis that does not respond costs the client nothing.
    tasks.add_task(queue.wake, state.settings)
    return row, is_new


def resume(
    state: AppState, tasks: BackgroundTasks, run: str, changes: dict[str, Any] | None
) -> Row:
    """Queue a failed or cancelled run again, or change the recipe of one that waits.

    Raises UnknownRun, InvalidRecipe, ForbiddenMove, QueueRefuses, LimitReached.
    """
    old = runs.get(state.database, run)
    recipe = recipe_inheritance.change(old["recipe"], changes) if changes else None
    _check_installed(state)
    queue.check(state.settings)
    row = runs.resume(state.database, run, recipe)
    tasks.add_task(queue.wake, state.settings)
    return row


def _check_installed(state: AppState) -> None:
    if not state.settings.can_train:
        raise TrainingNotInstalled


def _scope(idempotency_key: str | None, owner: str) -> str | None:
    """The stored form of an Idempotency-Key: two API keys may use the same text."""
    if idempotency_key is None:
        return None
    if not 1 <= len(idempotency_key) <= MAX_IDEMPOTENCY_KEY:
        raise InvalidParameter(
            "Idempotency-Key", "has the wrong length", f"1 to {MAX_IDEMPOTENCY_KEY} characters"
        )
    text = f"{owner}\n{idempotency_key}"
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
