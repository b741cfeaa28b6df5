"""Waking the worker. The run is in the database already: a lost wake-up only costs time."""

from functools import lru_cache

import structlog
from celery import Celery

from models.messages import QUEUE, TASK
from models.settings import Settings

log = structlog.get_logger()

SOCKET_TIMEOUT = 2  # s; publishing to a frozen Redis hung for 40 s without one


@lru_cache(maxsize=4)
def _producer(broker: str) -> Celery:
    app = Celery("kao-producer", broker=broker, set_as_current=False)
    app.conf.update(
        broker_connection_timeout=SOCKET_TIMEOUT,
        broker_connection_retry=False,
        broker_transport_options={
            "socket_timeout": SOCKET_TIMEOUT,
            "socket_connect_timeout": SOCKET_TIMEOUT,
            "max_retries": 0,
        },
        task_serializer="json",
        accept_content=["json"],
    )
    return app


def wake(settings: Settings) -> bool:
    """Send one message, in the caller's thread; whether it went. The reconciler makes up for it."""
    try:
        _producer(settings.broker).send_task(TASK, queue=QUEUE, retry=False, ignore_result=True)
    except Exception as error:  # kombu and redis have a dozen kinds, and none may stop a 202
        log.warning("worker.unreachable", error=type(error).__name__)
        return False
    log.info("worker.woken")
    return True
