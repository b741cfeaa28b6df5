"""The types of the fixtures in conftest.py."""

from collections.abc import Callable
from typing import Any

from worker.training.run import Attempt

# `attempt(folder, **fields)`: claim a new run of these recipe fields.
Attempts = Callable[..., Attempt]
# `events_of(attempt, type)`: the data of a run's events of one type.
EventsOf = Callable[[Attempt, str], list[dict[str, Any]]]
