"""On a child's PYTHONPATH: CUDA is out of memory while the file $KAO_TEST_OOM is there."""

import os
import sys

if "worker.training" in sys.orig_argv:
    import torch

    from worker.training.trainer import Losses, Trainer

    advance = Trainer.advance

    def fail_while_full(self: Trainer, fraction: float = 0.0) -> Losses:
        if os.path.exists(os.environ["KAO_TEST_OOM"]):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return advance(self, fraction)

    Trainer.advance = fail_while_full  # type: ignore[method-assign]
