"""`kao worker`: a Celery worker, with threads that requeue lost runs and post webhooks."""

import os
import threading
import warnings
from typing import Any

import structlog
from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import worker_ready, worker_shutting_down

from models import bootstrap, logs
from models.database.engine import connect
from models.maintenance import disk_cache
from models.settings import Settings
from worker import abandoned_runs, clocks, webhooks
from worker.celery_app import celery_app
from worker.reconciler import Reconciler
from worker.tasks import register

log = structlog.get_logger()


def work(settings: Settings) -> None:
    """Train the runs of the queue until SIGTERM."""
    logs.configure()
    _warn_of_root(os.geteuid())
    engine = bootstrap.open_database(settings)
    app = celery_app(settings)
    queue = register(app, settings)

    def hand_back(**_: object) -> None:
        queue.hand_back()

    worker_ready.connect(_background_threads(settings, app), weak=False)
    worker_shutting_down.connect(hand_back, weak=False)
    with disk_cache.pruning(settings, engine):
        app.worker_main(
            [
                # Threads: a process that is forked while the reconciler's thread holds a lock (of
                # SQLite, of the memory allocator) inherits that lock, which is never released.
                # Training has a process of its own, so that nothing of one run leaks into the next.
                *("-q", "worker", "-P", "threads", "-c", "1", "-Q", "train"),
                *("--loglevel", "WARNING", "--without-gossip", "--without-mingle"),
                *("-n", f"train-{os.getpid()}@%h"),
            ]
        )


def _warn_of_root(user: int) -> None:
    """Log where a worker runs as root, in the place of Celery's warning.

    That one advises an option that `kao worker` does not have, and is no line of JSON.
    """
    warnings.simplefilter("ignore", SecurityWarning)
    if user == 0:
        log.warning("worker.is_root", remedy="start Kao as a user without privileges")


def _background_threads(settings: Settings, app: Celery) -> Any:
    def start(**_: object) -> None:
        reconciler = Reconciler(settings, connect(settings), app)

        def reconcile() -> None:
            while True:
                reconciler.reconcile()
                clocks.sleep(abandoned_runs.INTERVAL)

        threading.Thread(target=reconcile, daemon=True, name="reconciler").start()
        deliverer = webhooks.Deliverer(settings, connect(settings))

        def deliver() -> None:
            while True:
                deliverer.deliver_due()
                clocks.sleep(webhooks.INTERVAL)

        # A thread of its own: a slow receiver must not delay the check of leases.
        threading.Thread(target=deliver, daemon=True, name="webhooks").start()

    return start
