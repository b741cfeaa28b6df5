"""`kao worker` whose reconciler never pauses between two looks, so that it holds locks often."""

from models.settings import Settings
from worker import leases
from worker.main import work

if __name__ == "__main__":
    leases.INTERVAL = 0.0
    work(Settings())
