"""The door's memory of shops and secrets."""

import asyncio

from prometheus_client import CollectorRegistry

from producers.webhooks.cache import DoorShop, ShopCache, Snapshot, snapshot
from producers.webhooks.signature import Secret
from tests.support.doors import OLD_SECRET, SECRET, shops_on
from worker.clock import SystemClock
from worker.errors import Unreachable


class Source:
    """What is read: `shops`, or an error while it is None."""

    def __init__(self, shops: Snapshot | None) -> None:
        self.shops = shops
        self.reads = 0

    def __call__(self) -> Snapshot:
        self.reads += 1
        if self.shops is None:
            raise Unreachable("database_unreachable", "away")
        return self.shops


def cache_of(source: Source) -> ShopCache:
    return ShopCache(source, clock=SystemClock(), registry=CollectorRegistry())


def test_it_is_empty_until_it_was_read_once() -> None:
    source = Source(None)
    cache = cache_of(source)

    asyncio.run(cache.ask_again())

    assert cache.current is None
    assert cache.trouble is not None


def test_the_last_good_one_stays_while_the_database_is_away() -> None:
    source = Source(shops_on("a.myshopify.com", "a"))
    cache = cache_of(source)

    async def read_twice() -> None:
        await cache.ask_again()
        source.shops = None
        await cache.ask_again()

    asyncio.run(read_twice())

    assert cache.current == shops_on("a.myshopify.com", "a")
    assert cache.trouble is not None


def test_a_hundred_who_ask_at_once_cause_one_more_reading() -> None:
    source = Source(shops_on("a.myshopify.com", "a"))
    cache = cache_of(source)

    async def ask() -> None:
        await cache.ask_again()
        await asyncio.gather(*(cache.ask_again() for _ in range(100)))

    asyncio.run(ask())

    assert source.reads == 2


def test_nudges_within_a_second_of_a_reading_are_ignored() -> None:
    source = Source(shops_on("a.myshopify.com", "a"))
    cache = cache_of(source)

    async def nudge() -> None:
        await cache.ask_again()
        for _ in range(100):
            cache.nudge()
            await asyncio.sleep(0)

    asyncio.run(nudge())

    assert source.reads == 1


def test_a_known_domain_is_verified_with_its_own_secrets_and_a_stranger_with_all() -> None:
    shops = snapshot(
        {
            "a.myshopify.com": (DoorShop("a", True, (SECRET,)), DoorShop("a2", True, (SECRET, Secret("b", b"b")))),
            "c.myshopify.com": (DoorShop("c", False, (OLD_SECRET, Secret("same", SECRET.value))),),
        }
    )

    assert {secret.value for secret in shops.secrets_of("a.myshopify.com")} == {SECRET.value, b"b"}
    assert {secret.value for secret in shops.secrets_of("c.myshopify.com")} == {OLD_SECRET.value, SECRET.value}
    assert sorted(secret.value for secret in shops.secrets_of("x.myshopify.com")) == sorted(
        [SECRET.value, OLD_SECRET.value, b"b"]
    )


def test_secrets_do_not_show_in_its_text() -> None:
    assert SECRET.value.decode() not in repr(shops_on("a.myshopify.com", "a"))
