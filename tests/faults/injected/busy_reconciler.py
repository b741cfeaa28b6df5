"""`kao worker` whose reconciler never pauses between two looks, so that it holds locks often."""

from models.settings import Settings
from worker import abandoned_runs
from worker.main import work

if __name__ == "__main__":
    abandoned_runs.INTERVAL = 0.0
    work(Settings())
