"""Amounts: Decimal with an ISO currency, never float (orders spec 10)."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

ZERO = Decimal(0)

_DECIMALS = {"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0}
_DECIMALS |= {"UGX": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0}
_DECIMALS |= {"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3}


def smallest_amount(currency: str) -> Decimal:
    """The smallest amount of a currency (ISO 4217): 0.01 EUR, 1 JPY, 0.001 KWD."""
    return Decimal(1).scaleb(-_DECIMALS.get(currency, 2))


def round_to(value: Decimal, precision: Decimal) -> Decimal:
    """Nearest multiple of `precision`, half away from zero."""
    return (value / precision).quantize(Decimal(1), rounding=ROUND_HALF_UP) * precision


@dataclass(frozen=True, slots=True)
class MoneyBag:
    """One amount in both currencies of an order: the shop's and the one the buyer saw."""

    shop: Decimal
    presentment: Decimal

    def __add__(self, other: "MoneyBag") -> "MoneyBag":
        return MoneyBag(self.shop + other.shop, self.presentment + other.presentment)

    def __sub__(self, other: "MoneyBag") -> "MoneyBag":
        return MoneyBag(self.shop - other.shop, self.presentment - other.presentment)

    def __bool__(self) -> bool:
        return self.shop != 0 or self.presentment != 0


NO_MONEY = MoneyBag(ZERO, ZERO)
