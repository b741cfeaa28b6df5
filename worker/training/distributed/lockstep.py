"""Several processes in step: rank 0 decides, the others do the same until it says stop."""

import os
import signal
from typing import Any

import torch
import torch.distributed as dist

from models.database.engine import connect
from models.recipes.recipe import Recipe
from models.settings import Settings
from worker.datasets import held_out, source
from worker.training.batches import Reals
from worker.training.distributed import collectives
from worker.training.distributed.collectives import Share
from worker.training.trainer import Losses, Trainer

STEP, RESTORE, STOP = 0.0, 1.0, 2.0


class Together:
    """A trainer whose every step, restored state and end all processes share."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.share = trainer, trainer.share

    def advance(self, fraction: float) -> Losses:
        """One step everywhere; what this process measured of its rows."""
        self._say(STEP, fraction)
        return self.trainer.advance(fraction)

    def give_state(self) -> None:
        """Let the others go on from where this process is."""
        self._say(RESTORE)
        if self.share.world > 1:
            dist.broadcast_object_list([self.trainer.state()], src=0)

    def stop(self) -> None:
        """The others end."""
        self._say(STOP)

    def follow(self) -> None:
        """Do as rank 0 says, until it says stop."""
        while True:
            order, fraction = collectives.agree([STOP, 0.0], self.share, self.trainer.device)
            if order == STOP:
                return
            if order == RESTORE:
                told: list[Any] = [None]
                dist.broadcast_object_list(told, src=0)
                self.trainer.restore(told[0])
            else:
                self.trainer.advance(fraction)

    def _say(self, order: float, fraction: float = 0.0) -> None:
        collectives.agree([order, fraction], self.share, self.trainer.device)


def device() -> torch.device:
    """This process's: on a host with several GPUs each has its own."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    here = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(here)
    return here


def give_recipe(recipe: Recipe, share: Share) -> None:
    """Tell the others what to train."""
    if share.world > 1:
        dist.broadcast_object_list([recipe.model_dump(mode="json")], src=0)


def follow(settings: Settings) -> None:
    """A process of rank 1 or above, from joining to the end."""
    # torchrun passes signals on to every process; rank 0 hears them for all.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    here = device()
    share = collectives.join(here)
    told: list[Any] = [None]
    dist.broadcast_object_list(told, src=0)
    recipe = Recipe.model_validate(told[0])
    packed = source.pack_for(settings, connect(settings), recipe, lambda done, total: None)
    places = held_out.training_places(packed.names(), recipe.held_out)
    reals = Reals(packed.images(), recipe, here, share, packed.labels(), places)
    Together(Trainer(recipe, reals, here, collectives.uses_bf16(recipe, here), share)).follow()
