"""Money as Shopify shows it: every amount of an order twice, in shop and in presentment currency."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

_MINOR_DIGITS = {"ISK": 0, "JPY": 0, "KRW": 0, "VND": 0, "BHD": 3, "JOD": 3, "KWD": 3, "OMR": 3, "TND": 3}


def round_money(amount: Decimal, currency_code: str) -> Decimal:
    """Rounded half away from zero to the smallest unit of the currency."""
    digits = _MINOR_DIGITS.get(currency_code, 2)
    return amount.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)


def money_text(amount: Decimal) -> str:
    """The amount as Shopify prints a ``Decimal``: ``19.99``, ``20.0``, ``-0.02``."""
    text = format(amount.normalize(), "f")
    return text if "." in text else f"{text}.0"


def distribute(total: Decimal, weights: Sequence[Decimal], currency_code: str) -> list[Decimal]:
    """Split ``total`` in proportion to ``weights`` so that the rounded parts add up exactly.

    Parts are differences of rounded running sums. All weights zero: everything falls on the last part.
    """
    whole = sum(weights, Decimal(0))
    parts: list[Decimal] = []
    running = given = Decimal(0)
    for position, weight in enumerate(weights):
        running += weight
        last = position == len(weights) - 1
        due = total if last else round_money(total * running / whole, currency_code) if whole else Decimal(0)
        parts.append(due - given)
        given = due
    return parts


@dataclass(frozen=True, slots=True)
class MoneyV2:
    """An amount in one currency."""

    amount: Decimal
    currency_code: str


@dataclass(frozen=True, slots=True)
class MoneyBag:
    """The same amount in the shop's currency and in the one the buyer saw."""

    shop_money: MoneyV2
    presentment_money: MoneyV2

    def __add__(self, other: "MoneyBag") -> "MoneyBag":
        return self._combine(other, lambda mine, theirs: mine + theirs)

    def __sub__(self, other: "MoneyBag") -> "MoneyBag":
        return self._combine(other, lambda mine, theirs: mine - theirs)

    def __neg__(self) -> "MoneyBag":
        return self.times(Decimal(-1))

    def times(self, factor: Decimal | int) -> "MoneyBag":
        """Both amounts multiplied, each rounded to its currency."""
        return self.map(lambda money: money.amount * factor)

    def map(self, change: Callable[[MoneyV2], Decimal]) -> "MoneyBag":
        """Both amounts changed by the same rule, each rounded to its currency."""
        return MoneyBag(_changed(self.shop_money, change), _changed(self.presentment_money, change))

    def _combine(self, other: "MoneyBag", rule: Callable[[Decimal, Decimal], Decimal]) -> "MoneyBag":
        mine, theirs = self.presentment_money, other.presentment_money
        if mine.currency_code != theirs.currency_code:
            raise ValueError(f"amounts in {mine.currency_code} and {theirs.currency_code} cannot be combined")
        return MoneyBag(
            MoneyV2(rule(self.shop_money.amount, other.shop_money.amount), self.shop_money.currency_code),
            MoneyV2(rule(mine.amount, theirs.amount), mine.currency_code),
        )


@dataclass(frozen=True, slots=True)
class Currencies:
    """The two currencies of an order; ``rate`` = presentment units for one unit of shop currency."""

    shop: str
    presentment: str
    rate: Decimal = Decimal(1)

    def bag(self, shop_amount: Decimal) -> MoneyBag:
        """An amount of shop currency, converted and rounded for the buyer."""
        return self.of(round_money(shop_amount, self.shop), self.convert(shop_amount))

    def of(self, shop_amount: Decimal, presentment_amount: Decimal) -> MoneyBag:
        """A bag of two amounts known already."""
        return MoneyBag(MoneyV2(shop_amount, self.shop), MoneyV2(presentment_amount, self.presentment))

    def convert(self, shop_amount: Decimal) -> Decimal:
        """The amount in the buyer's currency."""
        return round_money(shop_amount * self.rate, self.presentment)

    @property
    def zero(self) -> MoneyBag:
        """Nothing, in both currencies."""
        return self.bag(Decimal(0))

    def total(self, bags: Sequence[MoneyBag]) -> MoneyBag:
        """The sum of the bags; zero for none."""
        result = self.zero
        for bag in bags:
            result = result + bag
        return result

    def distribute(self, total: MoneyBag, weights: Sequence[MoneyBag]) -> list[MoneyBag]:
        """``distribute`` in each currency by itself, so that both sets of parts add up."""
        shop = distribute(total.shop_money.amount, [bag.shop_money.amount for bag in weights], self.shop)
        shown = distribute(
            total.presentment_money.amount,
            [bag.presentment_money.amount for bag in weights],
            self.presentment,
        )
        return [self.of(one, other) for one, other in zip(shop, shown, strict=True)]


def _changed(money: MoneyV2, change: Callable[[MoneyV2], Decimal]) -> MoneyV2:
    return MoneyV2(round_money(change(money), money.currency_code), money.currency_code)
