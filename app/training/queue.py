"""Wakes a worker. The run is in the database already: a lost message only costs time."""

from functools import lru_cache

import redis
import structlog
from celery import Celery

from models.errors import QueueRefuses
from models.queue import QUEUE, TASK, connect
from models.settings import Settings

log = structlog.get_logger()

SOCKET_TIMEOUT = 2  # s; publishing to a frozen Redis hung for 40 s without one
PROBE_TIMEOUT = 0.5  # s; the client waits for this one


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


def check(settings: Settings) -> None:
    """Raise QueueRefuses where the queue answers that it accepts no writes.

    An unreachable queue may be back soon, and the reconciler then sends the message; a full one
    stays full until an operator frees space.
    """
    try:
        with connect(settings, PROBE_TIMEOUT) as client:
            # Refused where a message would be, and without effect: no message is "".
            client.linsert(QUEUE, "BEFORE", "", "")
    except redis.ResponseError as error:
        log.warning("queue.write_refused", error=str(error))
        raise QueueRefuses(str(error).rstrip(".")) from error
    except (redis.RedisError, OSError) as error:
        log.warning("queue.unreachable", error=type(error).__name__)


def wake(settings: Settings) -> bool:
    """Send one message, blocking; whether it was sent. Otherwise the reconciler sends it."""
    try:
        _producer(settings.broker).send_task(TASK, queue=QUEUE, retry=False, ignore_result=True)
    except Exception as error:  # kombu and redis raise a dozen types; none may fail a 202
        log.warning("worker.unreachable", error=type(error).__name__)
        return False
    log.info("worker.woken")
    return True
