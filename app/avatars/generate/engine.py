"""The engine: verified models in memory, the aliases they serve, and the threads that draw.

A request resolves its model to a version once and draws with exactly that one, so a moving alias
mixes nothing. A moved alias counts only after its new bundle was verified; a bad bundle is
refused, and what served before keeps serving.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import numpy as np
import structlog
from prometheus_client import Counter

from app.avatars.generate.batching import Batcher, Outcome
from models import cores
from models.bundle.generator import Drawer, Floats, Pixels
from models.errors import BadBundle, NotReady, Overloaded, StorageUnreachable
from models.registry import DEFAULT, Registry

log = structlog.get_logger()
T = TypeVar("T")

WATCH = 1.0  # s between two looks at the aliases
RETRY = 60.0  # s before a refused bundle is read again: somebody may have repaired it
MOST_LOADS = 8  # models loading or waiting to load; each reads and hashes a whole bundle
# One drawing uses one core, and as many are drawn at once as there are cores: no thread waits
# for another, and the bytes cannot depend on how a sum was split.
SESSION_THREADS = 1


class Engine:
    """Loads, watches and draws. Its methods belong to one event loop."""

    def __init__(
        self, registry: Registry, threads: int | None, max_queue: int, model_bytes: int
    ) -> None:
        self.registry, self.model_bytes = registry, model_bytes
        self.served: dict[str, str] = {}
        self.refused: dict[str, tuple[str, float]] = {}
        self._batcher = Batcher(threads or cores.available(), max_queue)
        self._loader = ThreadPoolExecutor(1, "load")
        self._drawers: OrderedDict[str, Drawer] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._loads: dict[str, asyncio.Task[Drawer]] = {}
        self._refreshing = asyncio.Lock()
        self._watcher: asyncio.Task[None] | None = None
        self._named: dict[str, str] = {}  # by the aliases when they were last read
        self._blind = False  # since the last look at them failed
        self._swaps = Counter("kao_swaps", "Aliases that came to serve a model.", registry=None)
        self._bad = Counter("kao_bundles_refused", "Bundles found unfit to serve.", registry=None)
        self.metrics = (*self._batcher.metrics, self._swaps, self._bad)

    @property
    def waiting(self) -> int:
        """Pictures asked for and not finished."""
        return self._batcher.waiting

    @property
    def loaded(self) -> int:
        """Verified models in memory."""
        return len(self._drawers)

    def ills(self) -> list[str]:
        """What is wrong though something may serve: aliases not followed, or not readable."""
        refused = self.reasons()
        told = [
            f"{alias!r} names a refused model: {refused[version]}"
            for alias, version in self._named.items()
            if version in refused
        ]
        blind = "The database does not answer; what is loaded goes on serving."
        return [*told, *([blind] if self._blind else [])]

    async def start(self) -> None:
        """Serve what the aliases name now, and follow them from here on."""
        with contextlib.suppress(Exception):
            await self.refresh()
        self._watcher = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """End the watcher and the threads; what is being drawn is finished."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        await self._batcher.stop()
        await asyncio.to_thread(self._loader.shutdown, cancel_futures=True)

    def current(self, alias: str) -> str:
        """The version that an alias serves. Raises NotReady with the reason."""
        version = self.served.get(alias)
        if version is None:
            reasons = "; ".join(self.reasons().values())
            raise NotReady(
                f"No verified model serves as {alias!r} yet. "
                + (f"Refused: {reasons}" if reasons else "Publish one, or wait while it loads.")
            )
        return version

    def reasons(self) -> dict[str, str]:
        """Refused versions and why."""
        return {version: reason for version, (reason, _) in self.refused.items()}

    async def resolve(self, name: str) -> str:
        """The version that a model's name means now. Raises UnknownModel, NotReady."""
        if name in self.served or name == DEFAULT:
            return self.current(name)
        if name in self._drawers:
            return name
        return await self._load_thread(lambda: self.registry.resolve(name))

    async def drawer(self, version: str) -> Drawer:
        """A verified model, loaded once however many ask. Raises BadBundle, Overloaded."""
        held = self._drawers.get(version)
        if held is not None:
            self._drawers.move_to_end(version)
            return held
        self._raise_if_refused(version)
        if version not in self._loads:
            if len(self._loads) >= MOST_LOADS:
                raise Overloaded("Too many models are being loaded; try again in a second.")
            self._loads[version] = asyncio.create_task(self._load(version))
        # Shielded: one client that leaves must not end what others wait for.
        return await asyncio.shield(self._loads[version])

    async def run(self, work: Callable[[], T]) -> T:
        """Do some drawing in a thread. Raises Overloaded when too many wait already."""
        # A kind of its own: it is joined with nothing.
        done: T = await self._batcher.do(object(), lambda alone: [alone[0]()], work)
        return done

    async def draw(self, drawer: Drawer, z: Floats, psi: float, finish: Callable[[Pixels], T]) -> T:
        """Draw z (latent,) in a thread, with what else waits for this model and psi; finish there.

        `finish` gets (S, S, 3). Raises Overloaded.
        """
        together = partial(_draw_together, drawer, psi)
        finished: T = await self._batcher.do((drawer, psi), together, (z, finish))
        return finished

    async def refresh(self) -> None:
        """Follow the aliases once: verify what is new, then swap."""
        async with self._refreshing:
            self._named = found = await self._load_thread(self.registry.aliases)
            # `default` first: it is what most requests wait for.
            for alias in sorted(found, key=lambda name: (name != DEFAULT, name)):
                await self._follow(alias, found[alias])
            for alias in self.served.keys() - found.keys():
                del self.served[alias]

    async def _follow(self, alias: str, version: str) -> None:
        if self.served.get(alias) == version:
            return
        with contextlib.suppress(BadBundle, Overloaded, StorageUnreachable):
            await self.drawer(version)
            old = self.served.get(alias)
            self.served[alias] = version
            self._swaps.inc()
            self._forget()
            log.info("alias.followed", alias=alias, version=version[:12], old=(old or "")[:12])

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH)
            try:
                await self.refresh()
                self._blind = False
            except Exception as error:
                # Whatever happens to the database, what is loaded keeps serving.
                if not self._blind:
                    log.warning("aliases.unreadable", error=type(error).__name__)
                self._blind = True

    async def _load(self, version: str) -> Drawer:
        try:
            folder = self.registry.folder(version)
            drawer = await self._load_thread(lambda: self.registry.load(version, SESSION_THREADS))
        except BadBundle as error:
            self.refused[version] = (str(error), time.monotonic())
            self._bad.inc()
            log.error("bundle.refused", version=version[:12], reason=str(error))
            raise
        finally:
            del self._loads[version]
        self.refused.pop(version, None)
        self._drawers[version] = drawer
        self._sizes[version] = sum(path.stat().st_size for path in folder.iterdir())
        self._forget()
        return drawer

    def _forget(self) -> None:
        """Drop the models that were used longest ago and serve as no alias, down to the budget."""
        idle = [version for version in self._drawers if version not in self.served.values()]
        held = sum(self._sizes[version] for version in idle)
        # The newest stays whatever its size: somebody is about to draw with it, and again.
        for version in idle[:-1]:
            if held <= self.model_bytes:
                break
            held -= self._sizes.pop(version)
            del self._drawers[version]

    def _raise_if_refused(self, version: str) -> None:
        reason, since = self.refused.get(version, ("", 0.0))
        if reason and time.monotonic() - since < RETRY:
            raise BadBundle(reason)

    async def _load_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._loader.submit(work))


def _draw_together(
    drawer: Drawer, psi: float, items: Sequence[tuple[Floats, Callable[[Pixels], Any]]]
) -> list[Outcome]:
    pixels = drawer.draw(np.stack([z for z, _ in items]), psi)
    return [_finished(finish, drawn) for (_, finish), drawn in zip(items, pixels, strict=True)]


def _finished(finish: Callable[[Pixels], Any], drawn: Pixels) -> Outcome:
    try:
        return finish(drawn)
    except Exception as error:  # told to the one whose picture it is
        return error
