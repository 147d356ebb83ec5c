"""The embedded ERP behind the port: each operation is one transaction on the schema `erp`."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal

from worker.database.pool import Database
from worker.database.queries import load
from worker.erp.port import Capabilities, Code, CodeKind, Company, Page
from worker.erp.postgres import customers, documents, items, setup
from worker.erp.postgres.checks import LENGTHS, uuid_or_none
from worker.erp.postgres.transactions import reading, writing
from worker.errors import Bug, Rejected
from worker.model.customer import Customer, CustomerDraft, CustomerQuery
from worker.model.ids import ErpId
from worker.model.item import ItemMatches, ItemQuery
from worker.model.money import ZERO
from worker.model.sales_document import Document, DocumentDraft, DocumentType

MOST_AT_ONCE = 500
"""Queries a call, and documents a page."""


class PostgresErp:
    """`ErpPort` on PostgreSQL. Safe to share between threads and processes; holds nothing but the pool."""

    def __init__(self, database: Database) -> None:
        """`database` must be open and migrated; the company comes by `backroom erp init` or an import."""
        self._database = database

    def capabilities(self) -> Capabilities:
        """All of a draft is carried; a series decides whether documents may bring their number."""
        return Capabilities(
            document_number_choice=True,
            document_fields=frozenset(field.name for field in fields(DocumentDraft)),
            lengths=LENGTHS,
        )

    def company(self) -> Company:
        """The company of this database.

        Raises:
            NeedsAttention("company_missing")
        """
        with reading(self._database) as connection:
            return setup.company(connection)[0]

    def today(self) -> date:
        """The calendar date in the company's time zone."""
        with reading(self._database) as connection:
            today: date = setup.company(connection)[1]["today"]
            return today

    def list_codes(self, kind: CodeKind) -> tuple[Code, ...]:
        """The whole code table, by code. An account that documents may not use is shown as blocked."""
        with reading(self._database) as connection:
            return setup.list_codes(connection, kind)

    def find_customers(self, queries: Sequence[CustomerQuery]) -> tuple[tuple[Customer, ...], ...]:
        """Per query every match, lowest number first; one round trip."""
        _at_most(queries)
        with reading(self._database) as connection:
            return customers.find(connection, queries)

    def get_customers(self, ids: Sequence[ErpId]) -> tuple[Customer, ...]:
        """Those of the ids that exist, in no particular order; one round trip."""
        _at_most(ids)
        with reading(self._database) as connection:
            return customers.get(connection, ids)

    def create_customer(self, draft: CustomerDraft, key: str) -> Customer:
        """Create, or return what the same key created before.

        Raises:
            Rejected("too_long" | "not_found", field)
            NeedsAttention("company_missing" | "customer_template_missing" | "number_series_missing")
        """
        with writing(self._database, key) as connection:
            return customers.create(connection, draft, key)

    def find_items(self, queries: Sequence[ItemQuery]) -> tuple[ItemMatches, ...]:
        """One answer per query, in order; one round trip. Blocked items are found, and marked."""
        _at_most(queries)
        with reading(self._database) as connection:
            return items.find(connection, queries)

    def vat_rate(self, customer: ErpId, tax_product_groups: Sequence[str]) -> Mapping[str, Decimal]:
        """VAT percentage per product group; 0 under reverse charge.

        Raises:
            Rejected("not_found"): no such customer.
            NeedsAttention("tax_setup_missing"): a pair of groups has no rate.
        """
        if not tax_product_groups:
            return {}
        arguments = {"customer": uuid_or_none(customer), "product_groups": list(tax_product_groups)}
        with reading(self._database) as connection:
            rows = connection.execute(load("erp")["tax_rates"], arguments).fetchall()
        if not rows:
            raise Rejected("not_found", f"there is no customer with id {customer!r}; map it again", "customer")
        for row in rows:
            if row["pct"] is None:
                raise documents.tax_setup_missing(row["tax_business_group"], row["product_group"])
        return {row["product_group"]: ZERO if row["kind"] == documents.REVERSE else row["pct"] for row in rows}

    def find_document(self, key: str) -> Document | None:
        """The document made with this key, with its lines; None: there is none."""
        with reading(self._database) as connection:
            return documents.find(connection, key)

    def create_document(self, draft: DocumentDraft) -> Document:
        """All or nothing, once per key: one transaction with the key's `erp.operation` row.

        Raises:
            Rejected: `total_mismatch`, `number_not_manual`, `number_taken`, `too_long`, `blocked`, `not_found` …
            NeedsAttention: `tax_setup_missing`, `company_missing`, `number_series_missing`
            Bug("key_reuse"): the key came with another draft before.
        """
        with writing(self._database, draft.key) as connection:
            return documents.create(connection, draft)

    def list_documents(
        self,
        type: DocumentType,
        *,
        changed_since: datetime | None,
        cursor: str | None,
        limit: int,
    ) -> Page:
        """Headers by number, at most `limit` (1 … 500) a page."""
        if not 1 <= limit <= MOST_AT_ONCE:
            raise Bug("limit_out_of_range", f"limit {limit} is not within 1 … {MOST_AT_ONCE}")
        with reading(self._database) as connection:
            return documents.page(connection, type, changed_since, cursor, limit)


def _at_most(queries: Sequence[object]) -> None:
    if len(queries) > MOST_AT_ONCE:
        raise Bug("too_many_queries", f"{len(queries)} queries in one call; at most {MOST_AT_ONCE}: split them")
