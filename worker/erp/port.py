"""The ERP port: what Backroom asks of an ERP, and what every adapter promises (ERP spec 1).

Promises: values are frozen; money is Decimal with an ISO currency that is never blank; `date` is a calendar
date of the ERP company; a write carries a key and done twice with it happens once; expected outcomes are
values, surprises are the errors of `worker.errors`; no hidden retry of a write.

Errors every operation may raise:
    Rejected(code, field)       data the ERP will never accept (`too_long`, `not_found`, `blocked`, …)
    NeedsAttention(code, ERP)   setup is missing, credentials or licence refuse
    RetryLater / Throttled      locks, time-outs of reads, "busy"
    OutcomeUnknown(key)         a write may have happened: call `find_document(key)` (or the like) first
    Bug(key_reuse)              the same key came with another request
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from worker.model.customer import Customer, CustomerDraft, CustomerQuery
from worker.model.ids import ErpId
from worker.model.item import ItemMatches, ItemQuery
from worker.model.sales_document import Document, DocumentDraft, DocumentType


@dataclass(frozen=True, slots=True)
class Company:
    """The ERP company that an adapter talks to."""

    name: str
    currency: str
    """ISO code of the company's own currency."""
    country: str
    time_zone: str
    """IANA zone; document dates are dates of this zone."""


class CodeKind(StrEnum):
    """Code tables that mappings refer to (ERP spec 1.2 row 2)."""

    COUNTRY = "country"
    CURRENCY = "currency"
    PAYMENT_METHOD = "payment_method"
    PAYMENT_TERMS = "payment_terms"
    SHIPMENT_METHOD = "shipment_method"
    SHIPPING_AGENT = "shipping_agent"
    LOCATION = "location"
    GL_ACCOUNT = "gl_account"
    CUSTOMER_TEMPLATE = "customer_template"


@dataclass(frozen=True, slots=True)
class Code:
    """One row of a code table."""

    code: str
    name: str
    blocked: bool = False
    tax_product_group: str = ""
    """Of a G/L account; empty otherwise."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this adapter and deployment can do (ERP spec 1.6)."""

    document_number_choice: bool
    document_fields: frozenset[str]
    """Draft fields that are carried."""
    lengths: Mapping[str, int]
    """Longest text per field, in characters: name, address, post_code, external_document_no, description …"""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of documents. `next_cursor` is None on the last."""

    items: tuple[Document, ...]
    next_cursor: str | None


class ErpPort(Protocol):
    """The operations that the built reports need. Calls block; reads end within 30 s, writes within 120 s."""

    def capabilities(self) -> Capabilities: ...

    def company(self) -> Company: ...

    def list_codes(self, kind: CodeKind) -> tuple[Code, ...]:
        """The whole code table, by code."""
        ...

    def find_customers(self, queries: Sequence[CustomerQuery]) -> tuple[tuple[Customer, ...], ...]:
        """Per query every match, lowest number first. E-mail compares casefolded, phone as E.164.
        At most 500 queries a call."""
        ...

    def get_customers(self, ids: Sequence[ErpId]) -> tuple[Customer, ...]:
        """Those of the ids that exist, in no particular order."""
        ...

    def create_customer(self, draft: CustomerDraft, key: str) -> Customer:
        """Create, or return what the same key created before."""
        ...

    def find_items(self, queries: Sequence[ItemQuery]) -> tuple[ItemMatches, ...]:
        """One answer per query, in order. At most 500 queries a call."""
        ...

    def vat_rate(self, customer: ErpId, tax_product_groups: Sequence[str]) -> Mapping[str, Decimal]:
        """VAT percentage (22, not 0.22) per product group for that customer.

        Raises:
            NeedsAttention("tax_setup_missing"): a pair of groups has no rate; the message names both.
        """
        ...

    def find_document(self, key: str) -> Document | None:
        """The document made with this key; None: there is none."""
        ...

    def create_document(self, draft: DocumentDraft) -> Document:
        """All or nothing. Created once per key: a repetition returns the first document.

        Raises:
            Rejected("total_mismatch"): the document's total would not equal `expected_total_incl_vat`.
        """
        ...

    def list_documents(
        self, type: DocumentType, *, changed_since: datetime | None, cursor: str | None, limit: int
    ) -> Page:
        """Headers by number, at most `limit` (≤ 500) a page."""
        ...

    def today(self) -> date:
        """The calendar date of the ERP company now."""
        ...
