"""How a step is executed: operation by operation, or on a GPU as a recorded CUDA graph.

A small network's step is some 1,700 short operations, which take a processor longer to launch
than a large GPU to compute. A graph launches them all at once.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
import torch
from torch import Tensor

from worker.training.inputs import Inputs

Losses = Mapping[str, Tensor]
Run = Callable[[Inputs], Losses]
Variant = tuple[str, ...]  # the names of a step's inputs, which decide what it does
# Steps before a variant is recorded: cuDNN tries its algorithms, Adam makes its state.
WARM_UP = 3
# Steps that may wait for the GPU. A card that takes a second a step would else be a minute behind
# the clock, and a stop signal unanswered as long.
STEPS_AHEAD = 3
log = structlog.get_logger()


class Execution(Protocol):
    """Executes steps."""

    failure: str | None

    def run(self, inputs: Inputs) -> Losses:
        """Execute one step; its losses, valid until the next one."""
        ...

    def reset(self) -> None:
        """Drop the recordings: the tensors that they read and write may have been replaced."""
        ...


@dataclass
class Eager:
    """Executes every operation by itself. failure: why graphs could not be recorded."""

    step: Run
    failure: str | None = None

    def run(self, inputs: Inputs) -> Losses:
        """Execute one step; its losses."""
        return self.step(inputs)

    def reset(self) -> None:
        """A no-op: nothing is recorded."""


@dataclass
class Buffers:
    """Tensors that keep their addresses, into which each step's inputs are copied."""

    tensors: dict[str, Tensor] = field(default_factory=dict)

    def load(self, inputs: Inputs) -> Inputs:
        """Copy the inputs; the buffers of the same names."""
        for name, values in inputs.items():
            if name not in self.tensors:
                self.tensors[name] = torch.empty_like(values)
            self.tensors[name].copy_(values)
        return {name: self.tensors[name] for name in inputs}


@dataclass
class Buffered:
    """Executes every operation by itself, on inputs in buffers, as graphs read them."""

    step: Run
    failure: str | None = None
    buffers: Buffers = field(default_factory=Buffers)

    def run(self, inputs: Inputs) -> Losses:
        """Execute one step; its losses."""
        return self.step(self.buffers.load(inputs))

    def reset(self) -> None:
        """A no-op: buffers keep nothing from one step to the next."""


@dataclass
class Graphs:
    """Records one CUDA graph a variant of the step, and replays it.

    The first WARM_UP steps of a variant run eagerly on a separate stream, and train like the
    others. They find no graphs in memory, whose own need would add to theirs; the graphs of other
    variants are recorded again. If recording fails, all later steps run eagerly too, after a
    warning.
    """

    step: Run
    failure: str | None = None
    buffers: Buffers = field(default_factory=Buffers)

    def __post_init__(self) -> None:
        self._stream = torch.cuda.Stream()
        self._pending: deque[torch.cuda.Event] = deque()
        self._graphs: dict[Variant, tuple[torch.cuda.CUDAGraph, Losses]] = {}
        self.reset()

    def reset(self) -> None:
        """Drop all graphs, and warm every variant up again."""
        self._steps: Counter[Variant] = Counter()
        self._drop_graphs()

    def _drop_graphs(self) -> None:
        """Drop all graphs and the memory that they share, which no later graph may use."""
        if self._graphs:
            torch.cuda.synchronize()  # a replay may not have ended
        self._graphs.clear()
        self._pool = torch.cuda.graph_pool_handle()

    def run(self, inputs: Inputs) -> Losses:
        """Execute one step; its losses, which the next step overwrites."""
        variant, buffers = tuple(sorted(inputs)), self.buffers.load(inputs)
        self._steps[variant] += 1
        if self._steps[variant] > WARM_UP and self._has_graph(variant, buffers):
            graph, losses = self._graphs[variant]
            graph.replay()
        else:
            losses = self._run_eagerly(buffers)
        self._wait_for_device()
        return losses

    def _has_graph(self, variant: Variant, buffers: Inputs) -> bool:
        """Record the variant unless it is recorded; False where recording failed."""
        if variant not in self._graphs and self.failure is None:
            try:
                self._graphs[variant] = self._record(buffers)
            except RuntimeError as error:
                self.failure = str(error).partition("\n")[0]
                log.warning("graphs.failed", reason=self.failure)
        return variant in self._graphs

    def _run_eagerly(self, inputs: Inputs) -> Losses:
        self._drop_graphs()
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            losses = self.step(inputs)
        torch.cuda.current_stream().wait_stream(self._stream)
        return losses

    def _record(self, inputs: Inputs) -> tuple[torch.cuda.CUDAGraph, Losses]:
        """Record the step; nothing is computed.

        On the stream of the steps before, where what they left to reuse belongs. "thread_local":
        another thread may pin memory for the next batch meanwhile.
        """
        graph, stream = torch.cuda.CUDAGraph(), self._stream
        options: dict[str, Any] = {"pool": self._pool, "capture_error_mode": "thread_local"}
        # After a recording that failed, torch.cuda.graph leaves its stream the current one.
        with (
            torch.cuda.stream(torch.cuda.current_stream()),
            torch.cuda.graph(graph, stream=stream, **options),
        ):
            losses = self.step(inputs)
        return graph, losses

    def _wait_for_device(self) -> None:
        """Wait until at most STEPS_AHEAD steps are left to compute."""
        event = torch.cuda.Event(blocking=True)
        event.record()
        self._pending.append(event)
        if len(self._pending) > STEPS_AHEAD:
            self._pending.popleft().synchronize()


def choose(step: Run, device: torch.device, processes: int, graphs: bool | None) -> Execution:
    """Graphs on a GPU, unless several processes average their gradients or `graphs` is False."""
    can_record = device.type == "cuda" and processes == 1
    return Graphs(step) if can_record and graphs is not False else Eager(step)
