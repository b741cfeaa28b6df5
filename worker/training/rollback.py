"""The reaction to divergence: a warning, the end of the run, or an older snapshot."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from models import runs
from models.recipes.recipe import Recipe
from models.runs import Fence
from models.storage import layout
from models.storage.blob_store import Blobs
from worker.training import snapshots
from worker.training.divergence import Alarm, Divergence, Watch
from worker.training.lockstep import LockstepTrainer
from worker.training.loss_log import Losses
from worker.training.progress import Progress
from worker.training.reporting import Reporter

MOST_ROLLBACKS = 3
RATE_FACTOR = 0.5  # share of the learning rates that a rollback leaves


@dataclass
class Guard:
    """Watches the losses of one run.

    snapshots: the folder of its snapshots. save: writes one of the present state.
    """

    recipe: Recipe
    engine: sa.Engine
    run: str
    fence: Fence
    snapshots: Path
    blobs: Blobs
    reporter: Reporter
    progress: Progress
    lockstep: LockstepTrainer
    watch: Watch
    save: Callable[[], None]

    def check_all(self, steps: Sequence[Losses]) -> bool:
        """Check the losses of several steps; False after a rollback. Raises Divergence."""
        return all(self.check(losses) for losses in steps)

    def check(self, losses: Losses) -> bool:
        """Report divergence and act as the recipe says; False after a rollback.

        Raises Divergence.
        """
        try:
            alarms = self.watch.update(losses)
        except Divergence as error:
            self._roll_back(Alarm("diverged", str(error)), error)
            return False
        for alarm in alarms:
            self.progress.add_warning(alarm.message)
            event = {"warning": alarm.name, "message": alarm.message}
            self.reporter.event("run.warning", event)
            if self.recipe.on_divergence != "continue":
                self._roll_back(alarm, Divergence(alarm.message))
                return False
        return True

    def _roll_back(self, alarm: Alarm, error: Divergence) -> None:
        """Restore an older snapshot where the recipe allows it; else raises the error."""
        name, trainer = self._target(), self.lockstep.trainer
        if (
            self.recipe.on_divergence != "rollback"
            or self.progress.rollbacks >= MOST_ROLLBACKS
            or name is None
        ):
            raise error
        trainer.losses.read()  # of the steps that are given up
        trainer.restore(snapshots.read(self.snapshots, name)["trainer"])
        self._drop_newer(name)
        self.progress.drop_after(trainer.images)
        self.progress.rollbacks += 1
        # The same random draws at the same learning rates would diverge again.
        trainer.rate_factor = RATE_FACTOR**self.progress.rollbacks
        self.lockstep.broadcast_state()
        self.watch.reset()
        message = (
            f"Rolled back to {trainer.images:,} images with learning rates at "
            f"{trainer.rate_factor:.3g} of the recipe's, because: {alarm.message}"
        )
        self.progress.add_warning(message)
        self.save()  # in place of the restored one: a crash would lose the rates and the count
        self.reporter.event("run.rolled_back", {"warning": alarm.name, "message": message})

    def _drop_newer(self, name: str) -> None:
        """Remove the snapshots that a rollback abandons."""
        trainer = self.lockstep.trainer
        data = {"images": trainer.images, "iteration": trainer.step}
        runs.snapshot(self.engine, self.run, self.fence, name, data)
        snapshots.drop_newer(self.blobs, self.snapshots, name)

    def _target(self) -> str | None:
        """The older of the kept snapshots: the newer one may have diverged already."""
        names = sorted(path.name for path in self.snapshots.glob(f"*{layout.SNAPSHOT_SUFFIX}"))
        return names[0] if names else None
