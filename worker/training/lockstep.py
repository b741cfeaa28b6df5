"""Several processes in lockstep: rank 0 sends orders, which the others follow until it stops."""

import io
import signal
from typing import Any

import torch
import torch.distributed as dist

from models.database.engine import connect
from models.recipes.recipe import Recipe
from models.settings import Settings
from worker.datasets import held_out, lookup
from worker.hardware import devices
from worker.training.batches import Reals
from worker.training.distributed import collectives
from worker.training.distributed.collectives import Share
from worker.training.loss_log import Losses
from worker.training.trainer import Trainer

STEP, RESTORE, STOP = 0.0, 1.0, 2.0


class LockstepTrainer:
    """A trainer that all processes step, restore and stop at the same time."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.share = trainer, trainer.share

    def train(self, fraction: float) -> list[Losses]:
        """Run one step in every process; the losses of this process's rows, when they are read."""
        self._send(STEP, fraction)
        return self.trainer.train(fraction)

    def broadcast_state(self) -> None:
        """Send this process's training state to the others."""
        self._send(RESTORE)
        if self.share.world > 1:
            file = io.BytesIO()
            torch.save(self.trainer.state(), file)
            dist.broadcast_object_list([file.getvalue()], src=0)

    def stop(self) -> None:
        """End the other processes."""
        self._send(STOP)

    def follow(self) -> None:
        """Follow the orders of rank 0 until it stops."""
        while True:
            order, fraction = collectives.agree([STOP, 0.0], self.share)
            if order == STOP:
                return
            if order == RESTORE:
                self.trainer.restore(_receive_state())
            else:
                self.trainer.train(fraction)

    def _send(self, order: float, fraction: float = 0.0) -> None:
        collectives.agree([order, fraction], self.share)


def _receive_state() -> dict[str, Any]:
    """Rank 0's training state, on the CPU: pickled tensors would come to rank 0's device again."""
    message: list[Any] = [None]
    dist.broadcast_object_list(message, src=0)
    state: dict[str, Any] = torch.load(
        io.BytesIO(message[0]), map_location="cpu", weights_only=True
    )
    return state


def broadcast_recipe(recipe: Recipe, share: Share) -> None:
    """Send the recipe to the other processes."""
    if share.world > 1:
        dist.broadcast_object_list([recipe.model_dump(mode="json")], src=0)


def follow(settings: Settings) -> None:
    """Run a process of rank 1 or above, from joining to the end."""
    # torchrun passes signals on to every process; rank 0 handles them for all.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    device = devices.own()
    share = collectives.join(device)
    message: list[Any] = [None]
    dist.broadcast_object_list(message, src=0)
    recipe = Recipe.model_validate(message[0])
    dataset = lookup.pack_for(settings, connect(settings), recipe, lambda count, total: None)
    places = held_out.training_places(dataset.names(), recipe.held_out)
    reals = Reals(
        dataset.images(), recipe, device, share, dataset.labels(), places, dataset.numbers()
    )
    bf16 = devices.uses_bf16(recipe, device)
    LockstepTrainer(Trainer(recipe, reals, device, bf16, share)).follow()
