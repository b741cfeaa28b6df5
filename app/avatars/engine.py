"""The engine: verified models in memory, the aliases they serve, and the threads that draw.

A request resolves its model to a version once and draws with exactly that one, so a moving alias
mixes nothing. A moved alias counts only after its new bundle was verified; a bad bundle is
refused, and what served before keeps serving.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from models import bundle
from models.bundle import Drawer
from models.errors import BadBundle, NotReady, Overloaded
from models.registry import DEFAULT, Registry

log = structlog.get_logger()
T = TypeVar("T")

KEPT = 4  # models in memory beside those that an alias serves
WATCH = 1.0  # s between two looks at the aliases
RETRY = 60.0  # s before a refused bundle is read again: somebody may have repaired it
MOST_LOADS = 8  # models loading or waiting to load; each reads and hashes a whole bundle
# One drawing uses one core, and as many are drawn at once as there are cores: no thread waits
# for another, and the bytes cannot depend on how a sum was split.
SESSION_THREADS = 1


class Engine:
    """Loads, watches and draws. Its methods belong to one event loop."""

    def __init__(self, registry: Registry, threads: int | None, max_queue: int) -> None:
        self.registry = registry
        self.served: dict[str, str] = {}
        self.refused: dict[str, tuple[str, float]] = {}
        self._threads = threads or os.cpu_count() or 1
        self._most = self._threads + max_queue
        self._pool = ThreadPoolExecutor(self._threads, "draw")
        self._loader = ThreadPoolExecutor(1, "load")
        self._drawers: OrderedDict[str, Drawer] = OrderedDict()
        self._loads: dict[str, asyncio.Task[Drawer]] = {}
        self._in_flight = 0
        self._counting = threading.Lock()
        self._refreshing = asyncio.Lock()
        self._watcher: asyncio.Task[None] | None = None

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
        for pool in (self._pool, self._loader):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

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
        with self._counting:
            if self._in_flight >= self._most:
                raise Overloaded("Too many avatars are waiting to be drawn; try again in a second.")
            self._in_flight += 1
        future = self._pool.submit(work)
        # The client may leave; its work still takes a thread until it is done.
        future.add_done_callback(lambda _: self._count_down())
        return await asyncio.wrap_future(future)

    async def refresh(self) -> None:
        """Follow the aliases once: verify what is new, then swap."""
        async with self._refreshing:
            found = await self._load_thread(self.registry.aliases)
            # `default` first: it is what most requests wait for.
            for alias in sorted(found, key=lambda name: (name != DEFAULT, name)):
                await self._follow(alias, found[alias])
            for alias in self.served.keys() - found.keys():
                del self.served[alias]

    async def _follow(self, alias: str, version: str) -> None:
        if self.served.get(alias) == version:
            return
        with contextlib.suppress(BadBundle, Overloaded):
            await self.drawer(version)
            old = self.served.get(alias)
            self.served[alias] = version
            log.info("alias.followed", alias=alias, version=version[:12], old=(old or "")[:12])

    async def _watch(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(WATCH)
            try:
                await self.refresh()
                failing = False
            except Exception as error:
                # Whatever happens to the database, what is loaded keeps serving.
                if not failing:
                    log.warning("aliases.unreadable", error=type(error).__name__)
                failing = True

    async def _load(self, version: str) -> Drawer:
        try:
            folder = self.registry.folder(version)
            drawer = await self._load_thread(
                lambda: bundle.verify(folder, version, SESSION_THREADS)
            )
        except BadBundle as error:
            self.refused[version] = (str(error), time.monotonic())
            log.error("bundle.refused", version=version[:12], reason=str(error))
            raise
        finally:
            del self._loads[version]
        self.refused.pop(version, None)
        self._drawers[version] = drawer
        self._forget()
        return drawer

    def _forget(self) -> None:
        """Drop the models that were used longest ago and serve as no alias."""
        idle = [version for version in self._drawers if version not in self.served.values()]
        for version in idle[: max(0, len(idle) - KEPT)]:
            del self._drawers[version]

    def _raise_if_refused(self, version: str) -> None:
        reason, since = self.refused.get(version, ("", 0.0))
        if reason and time.monotonic() - since < RETRY:
            raise BadBundle(reason)

    async def _load_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._loader.submit(work))

    def _count_down(self) -> None:
        with self._counting:
            self._in_flight -= 1
