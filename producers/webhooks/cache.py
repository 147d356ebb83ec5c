"""Shops and secrets in memory: the door answers without asking the database (platform spec 1.7.6)."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry

from producers.webhooks.signature import Secret
from worker import logs, metrics
from worker.clock import Clock
from worker.metrics import MetricName

REFRESH_SECONDS: Final = 5.0
MINIMUM_GAP_SECONDS: Final = 1.0
"""Between two refreshes that unknown shops cause."""


@dataclass(frozen=True, slots=True)
class DoorShop:
    """One shop code on a domain."""

    code: str
    enabled: bool
    secrets: tuple[Secret, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All shops at one moment."""

    domains: Mapping[str, tuple[DoorShop, ...]]
    """By myshopify.com domain, lower case; several shop codes may share one."""
    secrets: tuple[Secret, ...] = field(repr=False)
    """Of all shops, each value once."""

    def secrets_of(self, domain: str) -> tuple[Secret, ...]:
        """What a delivery for this domain may be signed with: its own secrets, for a stranger those of all shops."""
        shops = self.domains.get(domain)
        return self.secrets if shops is None else _distinct(shops)


def snapshot(domains: Mapping[str, tuple[DoorShop, ...]]) -> Snapshot:
    """A snapshot of these shops."""
    return Snapshot(domains, _distinct([shop for shops in domains.values() for shop in shops]))


class ShopCache:
    """The last snapshot that could be read. Used from one event loop; reading happens in a thread."""

    def __init__(self, load: Callable[[], Snapshot], *, clock: Clock, registry: CollectorRegistry) -> None:
        """`load` reads everything and may block; its errors are logged and the last snapshot stays."""
        self._load = load
        self._clock = clock
        self._loaded_metric = metrics.gauge(registry, MetricName.DOOR_CACHE_LOADED)
        self._log = logs.logger(__name__)
        self._snapshot: Snapshot | None = None
        self._started_at: float | None = None
        self._running: asyncio.Task[None] | None = None
        self.trouble: str | None = "shops and secrets were not loaded yet"
        """Why the last reading failed; None: it did not."""

    @property
    def current(self) -> Snapshot | None:
        """The last good snapshot; None before the first."""
        return self._snapshot

    async def keep_fresh(self) -> None:
        """Refresh every five seconds, until cancelled; every second while nothing was ever loaded."""
        while True:
            await self._refresh()
            await asyncio.sleep(MINIMUM_GAP_SECONDS if self._snapshot is None else REFRESH_SECONDS)

    async def ask_again(self) -> None:
        """Wait for a reading that starts after this call; callers share one, and at most one starts each second."""
        asked = self._clock.monotonic()
        while self._running is not None or self._started_at is None or self._started_at < asked:
            if self._running is None and self._started_at is not None:
                await asyncio.sleep(max(0.0, self._started_at + MINIMUM_GAP_SECONDS - self._clock.monotonic()))
            if self._running is not None or self._started_at is None or self._started_at < asked:
                await self._refresh()

    def nudge(self) -> None:
        """Start a reading, if the last one started more than a second ago; does not wait."""
        if self._started_at is None or self._clock.monotonic() - self._started_at >= MINIMUM_GAP_SECONDS:
            self._start()

    async def _refresh(self) -> None:
        await asyncio.shield(self._start())

    def _start(self) -> asyncio.Task[None]:
        if self._running is None:
            self._started_at = self._clock.monotonic()
            self._running = asyncio.create_task(self._read())
        return self._running

    async def _read(self) -> None:
        try:
            self._snapshot = await asyncio.to_thread(self._load)
        except Exception as error:  # whatever it is: the door goes on with what it has
            self.trouble = f"{type(error).__name__} while reading shops and secrets"
            self._log.warning("door_cache_not_refreshed", error=str(error), loaded_before=self._snapshot is not None)
        else:
            self.trouble = None
            self._loaded_metric.set(self._clock.now().timestamp())
        finally:
            self._running = None


def _distinct(shops: Iterable[DoorShop]) -> tuple[Secret, ...]:
    by_value = {secret.value: secret for shop in shops for secret in shop.secrets}
    return tuple(by_value.values())
