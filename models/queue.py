"""The queue in Redis whose messages wake workers: its names, and a client of it.

The database says what to train.
"""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from models.settings import Settings

# The Celery task that wakes a worker, and the list in Redis that its messages wait in.
TASK, QUEUE = "kao.train", "train"
TIMEOUT = 2.0  # s for an answer


def connect(settings: Settings, timeout: float = TIMEOUT) -> redis.Redis:
    """A client that waits `timeout` seconds for an answer and never retries; close it after use.

    Its calls raise RedisError or OSError.
    """
    return redis.from_url(
        settings.redis,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
    )
