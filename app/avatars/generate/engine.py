"""The engine: verified models in memory, the aliases that it serves, and the drawing threads.

A request resolves its model to a version once and draws with exactly that version, so a moving
alias never mixes two models. The engine follows a moved alias only after it has verified the new
bundle; it refuses a bad bundle and keeps serving the old one.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog
from prometheus_client import Counter

from app.avatars.generate import faces
from app.avatars.generate.batching import Batcher
from app.avatars.generate.fair_queue import Outcome
from app.avatars.generate.memory_budget import MemoryBudget
from app.avatars.request.costs import PLAIN, Estimate
from app.avatars.request.picture_request import PictureRequest
from app.monitoring.faults import DATABASE_UNREACHABLE, MODEL_REFUSED, Fault
from models import cores, memory
from models.bundle import Card
from models.bundle.generator import Drawer, Pixels
from models.errors import BadBundle, NotReady, Overloaded, StorageUnreachable
from models.registry import DEFAULT, Registry

log = structlog.get_logger()
T = TypeVar("T")

POLL_INTERVAL = 1.0  # s between two reads of the aliases
RETRY = 60.0  # s before a refused bundle is read again: an operator may have repaired it
MOST_LOADS = 8  # models that load or wait to load; each reads and hashes a whole bundle
LOADED_SIZE = 3.5  # memory of a loaded bundle by its files: 41 MB for 12 MB
# Models whose critic and growth graph stay in memory, 60 MB for both.
MOST_OPTIONAL_PARTS = 2
# Each run of the network uses one core, and there are as many drawing threads as cores: no thread
# waits for another, and the bytes cannot depend on how a sum is split.
SESSION_THREADS = 1


class Engine:
    """Loads models, follows aliases and draws. Its methods must be called on one event loop."""

    def __init__(
        self,
        registry: Registry,
        threads: int | None,
        max_queue: int,
        model_bytes: int,
        cache_bytes: int = 0,
    ) -> None:
        count = threads or cores.available()
        budget = MemoryBudget.divide(memory.available(), count, cache_bytes, model_bytes)
        if budget.threads < count:
            log.warning("threads.limited_by_memory", threads=budget.threads, cores=count)
        self.registry, self.model_bytes = registry, budget.models
        self.served: dict[str, str] = {}
        self.refused: dict[str, tuple[str, float]] = {}
        self._batcher = Batcher(budget.threads, max_queue, budget.pictures)
        self._loader = ThreadPoolExecutor(1, "load")
        # A thread for names alone: a bundle whose disk or bucket hangs must not delay them.
        self._reader = ThreadPoolExecutor(1, "names")
        self._drawers: OrderedDict[str, Drawer] = OrderedDict()
        self._cards: dict[str, Card] = {}  # small, so they stay when their model is evicted
        self._sizes: dict[str, int] = {}
        self._created: dict[str, str] = {}
        self._optional_users: OrderedDict[Drawer, None] = OrderedDict()
        self._loads: dict[str, asyncio.Task[Drawer]] = {}
        self._refreshing = asyncio.Lock()
        self._watcher: asyncio.Task[None] | None = None
        self._aliases: dict[str, str] = {}  # as last read from the database
        self._is_unreachable = False  # the last read of the aliases failed
        self._swaps = Counter("kao_swaps", "Aliases that came to serve a model.", registry=None)
        self._refusals = Counter(
            "kao_bundles_refused", "Bundles found unfit to serve.", registry=None
        )
        self.metrics = (*self._batcher.metrics, self._swaps, self._refusals)

    @property
    def pending(self) -> int:
        """The number of pictures that wait to be drawn or are being drawn."""
        return self._batcher.pending

    @property
    def loaded_versions(self) -> tuple[str, ...]:
        """The versions of the verified models in memory, least recently used first."""
        return tuple(self._drawers)

    def faults(self) -> list[Fault]:
        """What does not stop serving: aliases of refused models, an unreachable database."""
        reasons = self.reasons()
        faults = [
            Fault(MODEL_REFUSED, f"{alias!r} names a refused model: {reasons[version]}")
            for alias, version in self._aliases.items()
            if version in reasons
        ]
        if self._is_unreachable:
            text = "The database does not answer; the loaded models keep serving."
            faults.append(Fault(DATABASE_UNREACHABLE, text))
        return faults

    async def start(self) -> None:
        """Load the models of the aliases, and follow the aliases from now on."""
        with contextlib.suppress(Exception):
            await self.refresh()
        self._watcher = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop following aliases and end the threads; running batches finish."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        await self._batcher.stop()
        for pool in (self._reader, self._loader):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    def current(self, alias: str) -> str:
        """The version that an alias serves. Raises NotReady, which says why there is none."""
        version = self.served.get(alias)
        if version is None:
            reasons = "; ".join(self.reasons().values())
            raise NotReady(
                f"No verified model serves as {alias!r} yet. "
                + (f"Refused: {reasons}" if reasons else "Publish one, or wait while it loads.")
            )
        return version

    def reasons(self) -> dict[str, str]:
        """The reason by version of each refused bundle."""
        return {version: reason for version, (reason, _) in self.refused.items()}

    async def resolve(self, name: str) -> str:
        """The version that a model's name stands for now. Raises UnknownModel, NotReady."""
        if name in self.served or name == DEFAULT:
            return self.current(name)
        if name in self._drawers:
            return name
        return await _call(self._reader, lambda: self.registry.resolve(name))

    def created(self, version: str) -> str | None:
        """When a model was made, in ISO 8601; None until it is first loaded."""
        return self._created.get(version)

    async def drawer(self, version: str) -> Drawer:
        """A verified model; concurrent calls share one load. Raises BadBundle, Overloaded."""
        drawer = self._drawers.get(version)
        if drawer is not None:
            self._drawers.move_to_end(version)
            return drawer
        return await self.reload(version)

    async def reload(self, version: str) -> Drawer:
        """A model, loaded also where it is in memory; concurrent calls share one load.

        Loading replaces damaged files where another copy exists; until then the model in memory
        serves. Raises BadBundle, Overloaded.
        """
        self._raise_if_refused(version)
        if version not in self._loads:
            if len(self._loads) >= MOST_LOADS:
                raise Overloaded("Too many models are being loaded; try again in a second.")
            self._loads[version] = asyncio.create_task(self._load(version))
        # Shielded: a client that disconnects must not cancel what other clients wait for.
        return await asyncio.shield(self._loads[version])

    async def card(self, version: str) -> Card:
        """A verified model's card. Raises BadBundle, Overloaded.

        A picture in the cache needs it, and does not wait for a model that was evicted.
        """
        return self._cards.get(version) or (await self.drawer(version)).card

    async def run(
        self, work: Callable[[], T], client: Hashable = None, estimate: Estimate = PLAIN
    ) -> T:
        """Call `work` in a drawing thread. Raises Overloaded when the queue is full."""
        # A unique key, so that it is in no batch with others.
        result: T = await self._batcher.submit(
            object(), lambda alone: [alone[0]()], work, client, estimate
        )
        return result

    async def draw(
        self,
        drawer: Drawer,
        request: PictureRequest,
        encode: Callable[[Pixels], T],
        client: Hashable = None,
    ) -> T:
        """Draw a request in a thread, batched with those that can be, and encode it there.

        `encode` gets (N, S, S, 3). client: whose turn it takes. Raises Overloaded, TooLargeToDraw,
        and what the picture type refuses.
        """
        key = faces.batch_key(request, drawer)
        work = partial(_draw_batch, drawer)
        batch = object() if key is None else (drawer, key)
        estimate = request.estimate(has_enlarger=drawer.card.enlarger is not None)
        try:
            result: T = await self._batcher.submit(batch, work, (request, encode), client, estimate)
        finally:
            self._unload_optional_parts(drawer)
        return result

    def estimate(self, version: str, request: PictureRequest) -> Estimate:
        """The time and memory of a picture; of an unloaded model, as if it had an enlarger."""
        drawer = self._drawers.get(version)
        return request.estimate(drawer is None or drawer.card.enlarger is not None)

    def is_loaded(self, version: str) -> bool:
        """Whether a model is in memory: loading one reads, hashes and tests a whole bundle."""
        return version in self._drawers

    def has_card(self, version: str) -> bool:
        """Whether `card` answers without loading the model."""
        return version in self._cards

    def longest_run(self) -> float:
        """Seconds since the oldest running drawing started; 0 without one. Thread-safe."""
        return self._batcher.longest_run()

    async def refresh(self) -> None:
        """Read the aliases once, verify new bundles, and serve those that are good."""
        async with self._refreshing:
            self._aliases = aliases = await _call(self._reader, self.registry.aliases)
            # `default` first: most requests wait for it.
            for alias in sorted(aliases, key=lambda name: (name != DEFAULT, name)):
                await self._follow(alias, aliases[alias])
            for alias in self.served.keys() - aliases.keys():
                del self.served[alias]
            if DEFAULT in aliases and DEFAULT not in self.served:
                await self._replace_default()

    async def verify_by_loading(self, version: str) -> Card | None:
        """Load a version that is about to be promoted, so that it is verified once; its card.

        None when this would verify nothing: the model was loaded or refused earlier. Raises
        BadBundle, Overloaded.
        """
        if version in self._drawers or version in self.refused:
            return None
        return (await self.drawer(version)).card

    async def follow_verified(self, version: str) -> None:
        """Follow the aliases after `version` was verified; an earlier refusal no longer counts."""
        self.refused.pop(version, None)
        await self.refresh()

    async def _replace_default(self) -> None:
        """Serve the best candidate that verifies while the model of `default` is refused."""
        for version in await _call(self._reader, self.registry.default_candidates):
            with _logged_failure(version):
                await self.drawer(version)
                self.served[DEFAULT] = version
                self._swaps.inc()
                log.warning("default.replaced", version=version[:12])
                return

    async def _follow(self, alias: str, version: str) -> None:
        if self.served.get(alias) == version:
            return
        with _logged_failure(version):
            await self.drawer(version)
            old = self.served.get(alias)
            self.served[alias] = version
            self._swaps.inc()
            self._evict()
            log.info("alias.followed", alias=alias, version=version[:12], old=(old or "")[:12])

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_INTERVAL)
            try:
                await self.refresh()
                self._is_unreachable = False
            except Exception as error:
                # Whatever happens to the database, the loaded models keep serving.
                if not self._is_unreachable:
                    log.warning("aliases.unreadable", error=type(error).__name__)
                self._is_unreachable = True

    async def _load(self, version: str) -> Drawer:
        try:
            drawer = await _call(self._loader, lambda: self.registry.load(version, SESSION_THREADS))
        except BadBundle as error:
            self.refused[version] = (str(error), time.monotonic())
            self._refusals.inc()
            log.error("bundle.refused", version=version[:12], reason=str(error))
            raise
        finally:
            del self._loads[version]
        self.refused.pop(version, None)
        self._created[version] = drawer.card.created
        self._drawers[version] = drawer
        self._cards[version] = drawer.card
        self._sizes[version] = int(_count_bytes(self.registry.folder(version)) * LOADED_SIZE)
        self._evict()
        return drawer

    def _evict(self) -> None:
        """Drop the least recently used models without an alias, until they fit the budget."""
        idle = [version for version in self._drawers if version not in self.served.values()]
        size = sum(self._sizes[version] for version in idle)
        # The newest stays whatever its size: the request that loaded it is about to use it.
        for version in idle[:-1]:
            if size <= self.model_bytes:
                break
            size -= self._sizes.pop(version)
            self._optional_users.pop(self._drawers.pop(version), None)

    def _unload_optional_parts(self, drawer: Drawer) -> None:
        """Keep the critic and the growth graph of the models that used them last."""
        if drawer.has_optional_parts:
            self._optional_users[drawer] = None
            self._optional_users.move_to_end(drawer)
        while len(self._optional_users) > MOST_OPTIONAL_PARTS:
            self._optional_users.popitem(last=False)[0].unload_optional_parts()

    def _raise_if_refused(self, version: str) -> None:
        reason, since = self.refused.get(version, ("", 0.0))
        if reason and time.monotonic() - since < RETRY:
            raise BadBundle(reason)


@contextlib.contextmanager
def _logged_failure(version: str) -> Iterator[None]:
    """Leave a model out that cannot be loaded now: what is loaded goes on serving.

    OSError: the disk is full, or refuses what the store has.
    """
    try:
        yield
    except BadBundle:
        pass  # logged where it was refused
    except (Overloaded, StorageUnreachable, OSError) as error:
        log.warning("model.not_loaded", version=version[:12], reason=str(error))


def _count_bytes(folder: Path) -> int:
    """The bytes of a folder's files; 0 where it was removed meanwhile."""
    try:
        return sum(path.stat().st_size for path in folder.iterdir())
    except FileNotFoundError:
        return 0


async def _call(pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.wrap_future(pool.submit(work))


def _draw_batch(
    drawer: Drawer, batch: Sequence[tuple[PictureRequest, Callable[[Pixels], Any]]]
) -> list[Outcome]:
    pictures = faces.draw([request for request, _ in batch], drawer)
    return [
        _encode_or_error(encode, pixels)
        for (_, encode), pixels in zip(batch, pictures, strict=True)
    ]


def _encode_or_error(encode: Callable[[Pixels], Any], pixels: Pixels) -> Outcome:
    try:
        return encode(pixels)
    except Exception as error:  # raised to the one client whose picture it is
        return error
