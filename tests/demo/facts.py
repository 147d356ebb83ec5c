"""What the ledger and the ERP say, read with plain SQL: the demo believes nobody else."""

from collections.abc import Collection, Sequence
from decimal import Decimal

from tests.demo.checks import Document, Found, House
from tests.support.ledger_kit import broken_invariants, rows

_DOCUMENTS = """
SELECT shopify_order_no AS name, type, number, customer, currency, amount_incl_vat AS total
FROM erp.sales_document ORDER BY number"""

# One job of a shop's orders runs at a time, so the moment an order was booked (or refused) lies in exactly one slice.
# A request that merged into the job has its own row in the inbox.
_SOURCES = """
SELECT o.name, array_agg(DISTINCT i.source) AS sources
FROM backroom.shopify_order o
JOIN backroom.job j ON j.shop = o.shop
JOIN backroom.job_attempt a ON a.job_id = j.id
    AND coalesce(o.document_created_at, o.imported_at)
        BETWEEN a.started_at AND coalesce(a.finished_at, 'infinity'::timestamptz)
JOIN backroom.inbox i ON i.job_id = j.id
WHERE o.name = ANY(%s)
GROUP BY o.name"""

_ISSUES = """
SELECT o.name, array_agg(DISTINCT issue ->> 'code') AS codes
FROM backroom.shopify_order o CROSS JOIN jsonb_array_elements(o.mapping_issues) issue
GROUP BY o.name"""

_UNSETTLED = """
SELECT (SELECT count(*) FROM backroom.job WHERE finished_at IS NULL)
     + (SELECT count(*) FROM backroom.pending_request)
     + (SELECT count(*) FROM unnest(%s::text[]) told WHERE NOT EXISTS (SELECT FROM backroom.inbox WHERE id = told))
     + (SELECT count(*) FROM backroom.schedule_tick WHERE outcome = 'requested')
     - (SELECT count(*) FROM backroom.inbox WHERE source LIKE '/schedules/%%') AS open"""

_BOOKS = """
SELECT 'sales documents' AS what, count(*) AS count, md5(coalesce(string_agg(d::text, '' ORDER BY number), '')) AS text
FROM erp.sales_document d
UNION ALL
SELECT 'sales lines', count(*), md5(coalesce(string_agg(l::text, '' ORDER BY l::text), '')) FROM erp.sales_line l
UNION ALL
SELECT 'customers', count(*), md5(coalesce(string_agg(c::text, '' ORDER BY number), '')) FROM erp.customer c
UNION ALL
SELECT 'requests in the ledger', count(*), '' FROM backroom.inbox WHERE source LIKE '/shopify/%%'"""

_HOUSE = """
SELECT (SELECT count(*) FROM erp.sales_document) AS documents,
       (SELECT count(*) FROM backroom.dead_letter WHERE state = 'open') AS dead_letters,
       (SELECT count(*) FROM backroom.job WHERE state NOT IN ('succeeded', 'completed_with_errors')
           AND finished_at IS NOT NULL) AS failed"""


def documents(database_url: str) -> dict[str, tuple[Document, ...]]:
    """The ERP's documents by the shop's order name."""
    found: dict[str, tuple[Document, ...]] = {}
    for each in rows(database_url, _DOCUMENTS):
        document = Document(each["type"], each["number"], each["customer"], each["currency"], _money(each["total"]))
        found[each["name"]] = (*found.get(each["name"], ()), document)
    return found


def findings(database_url: str, names: Collection[str]) -> dict[str, Found]:
    """What is known of each of these orders."""
    booked = documents(database_url)
    sources = {each["name"]: tuple(each["sources"]) for each in rows(database_url, _SOURCES, list(names))}
    issues = {each["name"]: tuple(each["codes"]) for each in rows(database_url, _ISSUES)}
    return {name: Found(booked.get(name, ()), sources.get(name, ()), issues.get(name, ())) for name in names}


def settled(database_url: str, webhook_ids: Sequence[str]) -> bool:
    """No work is left, and each of these webhooks and every tick of a schedule has become a request of the ledger."""
    (found,) = rows(database_url, _UNSETTLED, list(webhook_ids))
    return bool(found["open"] == 0)


def books(database_url: str) -> dict[str, tuple[int, str]]:
    """How many there are of each kind, and a digest of all they say: equal twice means nothing changed."""
    return {each["what"]: (each["count"], each["text"][:8]) for each in rows(database_url, _BOOKS)}


def customers(database_url: str) -> frozenset[str]:
    """Numbers of the ERP's customers."""
    return frozenset(each["number"] for each in rows(database_url, "SELECT number FROM erp.customer"))


def house(database_url: str) -> House:
    """The state of the whole."""
    (found,) = rows(database_url, _HOUSE)
    return House(found["documents"], found["dead_letters"], found["failed"], sorted(broken_invariants(database_url)))


def _money(amount: Decimal) -> Decimal:
    """With at least two decimals, as people write it."""
    return amount.quantize(Decimal("0.01")) if amount == amount.quantize(Decimal("0.01")) else amount
