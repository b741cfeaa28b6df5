"""`kao worker`: a Celery worker, with the reconciler beside it."""

import contextlib
import os
import signal
import threading
from typing import Any

import psutil
from celery import Celery
from celery.signals import worker_ready, worker_shutting_down

from models import bootstrap, logs
from models.database.engine import connect
from models.settings import Settings
from models.storage import disk_cache
from worker.celery_app import celery_app
from worker.leases import INTERVAL
from worker.reconciler import Reconciler
from worker.tasks import register


def work(settings: Settings) -> None:
    """Train the runs of the queue until SIGTERM."""
    logs.configure()
    engine = bootstrap.open_database(settings)
    # A forked pool process must not share the parent's connections.
    engine.dispose()
    app = celery_app(settings)
    register(app, settings)
    worker_ready.connect(_start_reconciler(settings, app), weak=False)
    worker_shutting_down.connect(_hand_back, weak=False)
    with disk_cache.pruning(settings, engine):
        app.worker_main(
            [
                *("-q", "worker", "-P", "prefork", "-c", "1", "-Q", "train"),
                *("--loglevel", "WARNING", "--without-gossip", "--without-mingle"),
                *("-n", f"train-{os.getpid()}@%h"),
            ]
        )


def _start_reconciler(settings: Settings, app: Celery) -> Any:
    def start(**_: object) -> None:
        reconciler = Reconciler(settings, connect(settings), app)

        def look() -> None:
            while True:
                reconciler.reconcile()
                # Not time.sleep: it is an absolute deadline, and fails where the clock jumps
                # (tests/faults/test_clocks.py).
                never.wait(INTERVAL)

        never = threading.Event()
        threading.Thread(target=look, daemon=True, name="reconciler").start()

    return start


def _hand_back(**_: object) -> None:
    """Signal the task in the pool's process to hand its run back; Celery would wait for it."""
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            child.send_signal(signal.SIGUSR1)
