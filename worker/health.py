"""`python -m worker.health`: the health check of a worker's container."""

import socket
import sys
from typing import Any

from celery import Celery

from models.settings import Settings
from worker.celery_app import celery_app

TIMEOUT = 10.0  # s; while a run trains, the worker still answers within one


def answers(app: Celery, host: str, timeout: float = TIMEOUT) -> bool:
    """Whether a worker of this host answers on the queue; another host's does not count."""
    # The matcher is a name in kombu's registry; celery-types has it as a function.
    options: dict[str, Any] = {"pattern": f"train-*@{host}", "matcher": "glob"}
    inspection = app.control.inspect(timeout=timeout, **options)
    return bool(inspection.ping())


def main() -> int:
    """The exit code: 0 where the worker answers, 1 where it or the queue does not."""
    try:
        is_healthy = answers(celery_app(Settings()), socket.gethostname())
    except Exception as error:  # whatever it is, this container's worker cannot be reached
        print(f"kao: the queue does not answer: {error}", file=sys.stderr)
        return 1
    if not is_healthy:
        print("kao: no worker of this host answers on the queue", file=sys.stderr)
    return 0 if is_healthy else 1


if __name__ == "__main__":
    sys.exit(main())
