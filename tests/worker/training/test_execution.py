"""CUDA graphs on a stand-in for `torch.cuda`: what is recorded when, and what is kept."""

import gc
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from worker.training.execution import STEPS_AHEAD, Graphs

PLAIN: dict[str, Tensor] = {"z": torch.zeros(2)}
PENALTY: dict[str, Tensor] = {**PLAIN, "penalty": torch.ones(())}


class Stream:
    def wait_stream(self, other: "Stream") -> None:
        """Everything is computed at once."""


class Event:
    def __init__(self, cuda: "Cuda") -> None:
        self.cuda = cuda
        self.number = len(cuda.calls)

    def record(self) -> None:
        self.cuda.recorded_events.append(self)

    def synchronize(self) -> None:
        self.cuda.recorded_events.remove(self)


class Graph:
    def __init__(self, cuda: "Cuda") -> None:
        self.cuda = cuda
        cuda.graphs.add(self)

    def replay(self) -> None:
        self.cuda.calls.append("replay")


class Cuda:
    """What is called, in order; the current stream, the graphs alive and the events not awaited."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.default = self.current = Stream()
        self.graphs: weakref.WeakSet[Graph] = weakref.WeakSet()
        self.recorded_events: list[Event] = []
        self.graphs_while_computing: list[int] = []
        self.pools: list[int] = []
        self.fails = self.is_recording = False

    def step(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if self.is_recording and self.fails:
            raise RuntimeError("operation not permitted\nwhen the stream is capturing")
        name = "penalty" if "penalty" in inputs else "plain"
        self.calls.append(f"{'record' if self.is_recording else 'compute'} {name}")
        if not self.is_recording:
            gc.collect()
            self.graphs_while_computing.append(len(self.graphs))
        return {"loss": inputs["z"].sum()}

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def graph(self, graph: Graph, pool: int, stream: Stream, **_: Any) -> Iterator[None]:
        """As torch's: a recording that fails leaves its stream the current one."""
        before, self.current, self.is_recording = self.current, stream, True
        self.pools.append(pool)
        try:
            yield
            self.current = before
        finally:
            self.is_recording = False


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    fake = Cuda()
    pools = iter(range(1000))
    replacements: dict[str, Any] = {
        "Stream": Stream,
        "Event": lambda blocking: Event(fake),
        "CUDAGraph": lambda: Graph(fake),
        "graph": fake.graph,
        "stream": fake.stream,
        "current_stream": lambda: fake.current,
        "graph_pool_handle": lambda: next(pools),
        "synchronize": lambda: None,
    }
    for name, value in replacements.items():
        monkeypatch.setattr(torch.cuda, name, value)
    return fake


def test_a_step_is_recorded_after_three_and_then_replayed(cuda: Cuda) -> None:
    graphs = Graphs(cuda.step)
    for _ in range(6):
        graphs.run(PLAIN)
    assert cuda.calls == ["compute plain"] * 3 + ["record plain"] + ["replay"] * 3


def test_no_graph_is_in_memory_while_another_variant_warms_up(cuda: Cuda) -> None:
    """Both together could take twice the memory that the run was estimated to need."""
    graphs = Graphs(cuda.step)
    for _ in range(5):
        graphs.run(PLAIN)
    for _ in range(4):
        graphs.run(PENALTY)
    graphs.run(PLAIN)
    assert cuda.graphs_while_computing == [0] * 6
    assert cuda.calls[6:] == [
        *["compute penalty"] * 3,
        *["record penalty", "replay"],
        *["record plain", "replay"],
    ]
    first, *others = cuda.pools
    assert len(others) == 2
    assert first not in others, "the allocator refuses a pool whose graphs are gone"
    assert len(set(others)) == 1, "graphs that are never replayed at once share their memory"
    graphs.reset()
    graphs.run(PLAIN)
    assert cuda.calls[-1] == "compute plain"


def test_after_a_recording_that_fails_steps_are_computed_on_the_stream_before(cuda: Cuda) -> None:
    graphs = Graphs(cuda.step)
    for _ in range(4):
        graphs.run(PENALTY)
    cuda.fails = True
    for _ in range(5):
        graphs.run(PLAIN)
    assert graphs.failure == "operation not permitted"
    assert cuda.current is cuda.default
    assert cuda.calls[-2:] == ["compute plain"] * 2
    graphs.run(PENALTY)
    assert cuda.calls[-1] == "compute penalty"
    assert cuda.graphs_while_computing[-1] == 0


def test_the_gpu_is_a_few_steps_behind_at_most(cuda: Cuda) -> None:
    """A deadline and a stop signal are noticed between two steps."""
    graphs = Graphs(cuda.step)
    for _ in range(20):
        graphs.run(PLAIN)
        assert len(cuda.recorded_events) <= STEPS_AHEAD
    newest = max(event.number for event in cuda.recorded_events)
    assert newest == len(cuda.calls)
