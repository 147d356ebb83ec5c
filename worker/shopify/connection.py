"""Tries a shop's connection and tells an operator in plain words what works and what is missing."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from schemas.catalogue import ReportName
from worker.errors import BackroomError, RetryLater
from worker.model.shop import Shop
from worker.shopify.client import API_VERSION, SHOP_AWAY, ShopApi
from worker.shopify.documents import operation

API_VERSION_ENDS: Final = datetime(2027, 10, 16, 15, tzinfo=UTC)
"""Until then Shopify serves `API_VERSION` (platform spec, version calendar)."""
VERSION_WARNING: Final = timedelta(days=90)

REQUIRED_SCOPES: Final[Mapping[ReportName, tuple[str, ...]]] = {
    ReportName.SYNC_ORDERS: (
        "read_orders",
        "read_customers",
        "read_products",
        "read_locations",
        "read_merchant_managed_fulfillment_orders",
        "read_assigned_fulfillment_orders",
        "read_third_party_fulfillment_orders",
    ),
    # Works on what 30104 imported.
    ReportName.CREATE_SALES_ORDERS: ("read_orders",),
}
"""Without these a report does not work (platform spec 3.3); a write scope includes its read scope."""

USEFUL_SCOPES: Final[Mapping[str, str]] = {
    "read_all_orders": "orders older than 60 days are not found",
    "read_payment_terms": "due dates and payment terms stay empty",
}
"""Without these a report works, less well."""


class Level(StrEnum):
    """How serious a finding is."""

    FINE = "fine"
    WARNING = "warning"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, in a sentence."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """The result. Empty text: not known, since the shop did not answer."""

    shop: str
    api_url: str
    findings: tuple[Finding, ...]
    store_name: str = ""
    currency: str = ""
    time_zone: str = ""
    plan: str = ""
    asked_version: str = API_VERSION
    served_version: str = ""
    missing_scopes: Mapping[str, tuple[str, ...]] | None = None
    """By report; None: not known."""
    answered: bool = True
    """False: the shop could not be reached, or only with errors of its own."""

    @property
    def works(self) -> bool:
        """Nothing stands in the way of any report."""
        return all(finding.level is not Level.TROUBLE for finding in self.findings)


def test_connection(api: ShopApi, now: datetime) -> ConnectionReport:
    """Ask the shop who it is and what we may do; never raises for trouble with the shop."""
    shop = api.shop
    try:
        data = api.execute(operation("ShopInfo"))
    except BackroomError as error:
        answered = not isinstance(error, RetryLater) and error.code != SHOP_AWAY
        return ConnectionReport(shop.code, shop.api_url, (Finding(Level.TROUBLE, error.message),), answered=answered)
    store = data.values["shop"]
    granted = {scope["handle"] for scope in data.values["currentAppInstallation"]["accessScopes"]}
    served = api.served_version or ""
    supported = {entry["handle"]: entry["supported"] for entry in data.values["publicApiVersions"]}
    findings = [
        Finding(Level.FINE, f"{shop.api_url} answers as {store['name']} ({store['currencyCode']})"),
        *_domain_findings(shop, store["myshopifyDomain"]),
        *_version_findings(served, supported, now),
        *_scope_findings(granted),
    ]
    return ConnectionReport(
        shop=shop.code,
        api_url=shop.api_url,
        findings=tuple(findings),
        store_name=store["name"],
        currency=store["currencyCode"],
        time_zone=store["ianaTimezone"],
        plan=store["plan"]["publicDisplayName"],
        served_version=served,
        missing_scopes={report.value: missing_scopes(report, granted) for report in REQUIRED_SCOPES},
    )


def missing_scopes(report: ReportName, granted: Collection[str]) -> tuple[str, ...]:
    """The scopes that a report needs and the app does not have."""
    return tuple(scope for scope in REQUIRED_SCOPES[report] if not _has(scope, granted))


def _has(scope: str, granted: Collection[str]) -> bool:
    return scope in granted or scope.replace("read_", "write_", 1) in granted


def _domain_findings(shop: Shop, domain: str) -> Iterable[Finding]:
    if domain.lower() != shop.domain:
        yield Finding(
            Level.TROUBLE,
            f"the token belongs to {domain}, but shop {shop.code} is {shop.domain}: set the right token or domain",
        )


def _version_findings(served: str, supported: Mapping[str, bool], now: datetime) -> Iterable[Finding]:
    if served and served != API_VERSION:
        yield Finding(Level.TROUBLE, f"Shopify serves API version {served} instead of {API_VERSION}: update Backroom")
    elif not supported.get(API_VERSION, True):
        yield Finding(Level.TROUBLE, f"Shopify no longer supports API version {API_VERSION}: update Backroom")
    elif now + VERSION_WARNING >= API_VERSION_ENDS:
        yield Finding(
            Level.WARNING, f"API version {API_VERSION} ends on {API_VERSION_ENDS:%Y-%m-%d}: update Backroom before"
        )
    else:
        yield Finding(Level.FINE, f"API version {API_VERSION} is served until {API_VERSION_ENDS:%Y-%m-%d}")


def _scope_findings(granted: Collection[str]) -> Iterable[Finding]:
    for report in REQUIRED_SCOPES:
        missing = missing_scopes(report, granted)
        if missing:
            yield Finding(Level.TROUBLE, f"{report} needs the scopes {', '.join(missing)}: grant them to the app")
        else:
            yield Finding(Level.FINE, f"{report} has the scopes it needs")
    for scope, consequence in USEFUL_SCOPES.items():
        if not _has(scope, granted):
            yield Finding(Level.WARNING, f"without the scope {scope} {consequence}")
