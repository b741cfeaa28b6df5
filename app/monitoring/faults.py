"""What is wrong while faces are served: a code for programs, a sentence for people."""

from typing import NamedTuple


class Fault(NamedTuple):
    """One entry of `/health/ready`."""

    code: str
    text: str


MODEL_REFUSED, DATABASE_UNREACHABLE = "model-refused", "database-unreachable"
QUEUE_UNREACHABLE, NO_WORKER, RUN_WAITING = "queue-unreachable", "no-worker", "run-waiting"
CODES = (MODEL_REFUSED, DATABASE_UNREACHABLE, QUEUE_UNREACHABLE, NO_WORKER, RUN_WAITING)
