"""On a child's PYTHONPATH: faults by environment variable.

Their names do not begin with KAO_: commands remove such variables, which are misspelt settings.

FAULT_OOM: in a training process CUDA is out of memory while this file is there. FAULT_HANG:
in an app, drawings of this seed never end, and are stuck after five seconds.
"""

import os
import sys

if "worker.training" in sys.orig_argv and "FAULT_OOM" in os.environ:
    import torch

    from worker.training.loss_log import Losses
    from worker.training.trainer import Trainer

    train = Trainer.train

    def fail_while_full(self: Trainer, fraction: float = 0.0) -> list[Losses]:
        if os.path.exists(os.environ["FAULT_OOM"]):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return train(self, fraction)

    Trainer.train = fail_while_full  # type: ignore[method-assign]

if "serve" in sys.orig_argv and "FAULT_HANG" in os.environ:
    import threading
    from collections.abc import Sequence

    from app.avatars.generate import faces
    from app.avatars.request.picture_request import PictureRequest
    from app.monitoring import watchdog
    from models.bundle.generator import Drawer, Pixels

    watchdog.STUCK, watchdog.NOTICE = 5.0, 10.0
    draw = faces.draw

    def hang(requests: Sequence[PictureRequest], drawer: Drawer) -> list[Pixels]:
        if any(request.seed == os.environ["FAULT_HANG"] for request in requests):
            threading.Event().wait()
        return draw(requests, drawer)

    faces.draw = hang
