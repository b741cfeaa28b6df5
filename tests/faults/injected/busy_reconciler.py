"""`kao worker` whose reconciler never pauses between two looks, so that it holds locks often."""

import worker.main
from models.settings import Settings

if __name__ == "__main__":
    worker.main.INTERVAL = 0.0
    worker.main.work(Settings())
