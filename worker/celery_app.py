"""The Celery application. A message only wakes a worker; the database says what to train."""

from celery import Celery

from models.queue import QUEUE
from models.settings import Settings


def celery_app(settings: Settings) -> Celery:
    """Celery with the settings' Redis as broker; each setting has its reason beside it."""
    app = Celery("kao", broker=settings.broker, set_as_current=True)
    app.conf.update(
        task_default_queue=QUEUE,
        # Reading a pickle runs code, and any client of Redis could send one.
        task_serializer="json",
        accept_content=["json"],
        # The run's row is the result.
        task_ignore_result=True,
        # With a late acknowledgement, Redis hands a long task out again after its visibility
        # timeout (celery #5935); the reconciler replaces an early one that is lost.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        # Without this, one long run reserves the messages behind it.
        worker_disable_prefetch=True,
        # models/logs.py configures logging.
        worker_hijack_root_logger=False,
        # Hosts boot in any order, and a queue may be down for hours.
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A full or read-only Redis refuses to hand out messages; without this that ends the worker
        # (kombu's channel errors: MISCONF, OOM, READONLY).
        broker_channel_error_retry=True,
        # A run outlives its queue: Redis may restart while it trains.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_transport_options={
            # A message whose worker died between taking and acknowledging it comes back in
            # seconds, not in the 102 of kombu's defaults (kombu 5.7); an acknowledged one never.
            "visibility_timeout": 3600,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            # A frozen Redis held publishers for over 40 s without these.
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            # A host that vanished closes no connection.
            "socket_keepalive": True,
            "health_check_interval": 25,
        },
    )
    return app
