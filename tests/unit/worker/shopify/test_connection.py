"""What an operator is told about a shop's connection."""

from datetime import UTC, datetime
from typing import Any

import httpx

from schemas.catalogue import ReportName
from tests.support.fakes import a_shop
from tests.support.shopify_answers import ScriptedShop, answer, api_of
from worker.shopify import connection
from worker.shopify.connection import API_VERSION_ENDS, REQUIRED_SCOPES, Level, missing_scopes

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ENOUGH = sorted({scope for scopes in REQUIRED_SCOPES.values() for scope in scopes} | set(connection.USEFUL_SCOPES))


def shop_info(scopes: list[str], domain: str = "my-shop.myshopify.com") -> dict[str, Any]:
    return {
        "shop": {
            "name": "My Shop",
            "myshopifyDomain": domain,
            "currencyCode": "EUR",
            "ianaTimezone": "Europe/Rome",
            "plan": {"shopifyPlus": False, "publicDisplayName": "Basic"},
        },
        "currentAppInstallation": {"accessScopes": [{"handle": scope} for scope in scopes]},
        "publicApiVersions": [{"handle": "2026-10", "supported": True}],
    }


def report_on(response: httpx.Response, now: datetime = NOW) -> connection.ConnectionReport:
    return connection.test_connection(api_of(a_shop(), ScriptedShop(response)), now)


def test_every_report_says_which_scopes_it_needs() -> None:
    assert set(REQUIRED_SCOPES) == set(ReportName)


def test_a_working_connection_is_all_fine() -> None:
    report = report_on(answer(shop_info(ENOUGH)))

    assert report.works
    assert {finding.level for finding in report.findings} == {Level.FINE}
    assert (report.store_name, report.currency, report.time_zone) == ("My Shop", "EUR", "Europe/Rome")
    assert report.served_version == "2026-10"


def test_a_write_scope_includes_reading() -> None:
    granted = [scope.replace("read_", "write_") for scope in ENOUGH]

    assert all(missing_scopes(report, granted) == () for report in REQUIRED_SCOPES)


def test_missing_scopes_are_named_by_report() -> None:
    report = report_on(answer(shop_info(["read_orders"])))

    assert not report.works
    assert report.missing_scopes is not None
    assert "read_customers" in report.missing_scopes["sync_orders"]
    assert report.missing_scopes["create_sales_orders"] == ()
    assert any("orders older than 60 days are not found" in finding.text for finding in report.findings)


def test_a_token_of_another_store_is_found_out() -> None:
    report = report_on(answer(shop_info(ENOUGH, domain="other.myshopify.com")))

    assert not report.works
    assert any("the token belongs to other.myshopify.com" in finding.text for finding in report.findings)


def test_a_refused_token_is_told_in_words() -> None:
    report = report_on(answer(status=401))

    assert not report.works
    assert report.answered
    assert "refuses the access token" in report.findings[0].text


def test_another_served_version_is_trouble_and_a_near_end_a_warning() -> None:
    fell = report_on(answer(shop_info(ENOUGH), version="2027-01"))
    near = report_on(answer(shop_info(ENOUGH)), now=API_VERSION_ENDS.replace(month=8))

    assert not fell.works
    assert near.works
    assert [finding.text for finding in near.findings if finding.level is Level.WARNING] == [
        "API version 2026-10 ends on 2027-10-16: update Backroom before"
    ]
