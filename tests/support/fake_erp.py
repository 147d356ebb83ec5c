"""A small ERP in memory, behind the port: an Italian company with VAT of 22 and 10 %, and what a test adds."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from worker.erp.port import Capabilities, Code, CodeKind, Company, Page
from worker.errors import Bug, Rejected
from worker.model.address import PartyAddress
from worker.model.customer import Customer, CustomerDraft, CustomerQuery
from worker.model.ids import ErpId
from worker.model.item import ItemKey, ItemMatch, ItemMatches, ItemQuery
from worker.model.money import ZERO, smallest_amount
from worker.model.sales_document import (
    Document,
    DocumentDraft,
    DocumentLine,
    DocumentStatus,
    DocumentType,
    LineKind,
    SalesLine,
)
from worker.rules.mapping_tables import Account, ErpSetup
from worker.rules.order_totals import LineTotals, PricedLine, document_totals

LENGTHS = {"name": 100, "name_2": 50, "address": 100, "city": 30, "email": 80, "phone": 30, "description": 100}

CODES: Mapping[CodeKind, tuple[Code, ...]] = {
    CodeKind.COUNTRY: (Code("IT", "Italy"), Code("DE", "Germany")),
    CodeKind.CURRENCY: (Code("EUR", "Euro"), Code("USD", "US dollar"), Code("JPY", "Yen")),
    CodeKind.PAYMENT_METHOD: (Code("CARD", "Card"), Code("GIFT", "Gift card")),
    CodeKind.PAYMENT_TERMS: (Code("NET30", "30 days"),),
    CodeKind.SHIPMENT_METHOD: (Code("STD", "Standard"),),
    CodeKind.SHIPPING_AGENT: (Code("DHL", "DHL"),),
    CodeKind.LOCATION: (Code("MAIN", "Main"),),
    CodeKind.GL_ACCOUNT: (
        Code("6710", "Shipping", tax_product_group="FULL"),
        Code("6720", "Tips", tax_product_group="FULL"),
        Code("6790", "Roundings", tax_product_group="FULL"),
        Code("6999", "Closed", blocked=True, tax_product_group="FULL"),
    ),
    CodeKind.CUSTOMER_TEMPLATE: (Code("CONSUMER", "Consumers"),),
}


def an_erp_customer(number: str = "10000", **changes: object) -> Customer:
    """Ada Lovelace, a domestic customer."""
    ordinary = Customer(
        erp_id=ErpId(f"customer-{number}"),
        number=number,
        version="1",
        address=PartyAddress(name="Ada Lovelace", address="Via Roma 1", post_code="00184", city="Roma", country="IT"),
        email="ada@example.com",
        phone="+390612345678",
        currency="EUR",
        bill_to=None,
        prices_include_vat=True,
        blocked=False,
        tax_business_group="DOMESTIC",
    )
    return replace(ordinary, **changes)  # type: ignore[arg-type]  # a builder takes any field


def an_item(number: str, **changes: object) -> ItemMatch:
    """An item sold by the piece with full VAT."""
    ordinary = ItemMatch(ErpId(f"item-{number}"), number, "", "PCS", f"Item {number}", False, "FULL")
    return replace(ordinary, **changes)  # type: ignore[arg-type]  # a builder takes any field


@dataclass
class FakeErp:
    """`ErpPort` in memory. `calls` counts the calls per operation; `before` and `after` run around each of them
    with its name, and may raise: the call then never arrived, or its answer was lost."""

    customers: list[Customer] = field(default_factory=lambda: [an_erp_customer()])
    items: list[ItemMatch] = field(default_factory=lambda: [an_item("SHIRT-1"), an_item("SHIRT-2")])
    barcodes: dict[str, list[ItemMatch]] = field(default_factory=dict)
    rates: dict[tuple[str, str], Decimal] = field(
        default_factory=lambda: {("DOMESTIC", "FULL"): Decimal(22), ("DOMESTIC", "REDUCED"): Decimal(10)}
    )
    codes: dict[CodeKind, tuple[Code, ...]] = field(default_factory=lambda: dict(CODES))
    documents: dict[str, Document] = field(default_factory=dict)
    drafts: list[DocumentDraft] = field(default_factory=list)
    """Every draft a document was made of."""
    calls: Counter[str] = field(default_factory=Counter)
    before: Callable[[str], None] = lambda _: None
    after: Callable[[str], None] = lambda _: None
    number_choice: bool = True
    _customer_keys: dict[str, tuple[CustomerDraft, Customer]] = field(default_factory=dict)

    def capabilities(self) -> Capabilities:
        return Capabilities(self.number_choice, frozenset(), LENGTHS)

    def company(self) -> Company:
        self._called("company")
        return Company("Roma S.p.A.", "EUR", "IT", "Europe/Rome")

    def list_codes(self, kind: CodeKind) -> tuple[Code, ...]:
        self._called("list_codes")
        return self.codes[kind]

    def find_customers(self, queries: Sequence[CustomerQuery]) -> tuple[tuple[Customer, ...], ...]:
        self._called("find_customers")
        return tuple(tuple(each for each in self.customers if _fits(each, query)) for query in queries)

    def get_customers(self, ids: Sequence[ErpId]) -> tuple[Customer, ...]:
        self._called("get_customers")
        return tuple(each for each in self.customers if each.erp_id in ids)

    def create_customer(self, draft: CustomerDraft, key: str) -> Customer:
        self._called("create_customer")
        if key not in self._customer_keys:
            number = str(20_000 + len(self._customer_keys))
            customer = an_erp_customer(number, address=draft.address, email=draft.email, phone=draft.phone)
            self._customer_keys[key] = (draft, customer)
            self.customers.append(customer)
        made_of, customer = self._customer_keys[key]
        if made_of != draft:
            raise Bug("key_reuse", f"{key} came with other data before")
        self.after("create_customer")
        return customer

    def find_items(self, queries: Sequence[ItemQuery]) -> tuple[ItemMatches, ...]:
        self._called("find_items")
        return tuple(ItemMatches(query, self._items(query)) for query in queries)

    def vat_rate(self, customer: ErpId, tax_product_groups: Sequence[str]) -> Mapping[str, Decimal]:
        self._called("vat_rate")
        group = next(each.tax_business_group for each in self.customers if each.erp_id == customer)
        return {name: self.rates[group, name] for name in tax_product_groups if (group, name) in self.rates}

    def find_document(self, key: str) -> Document | None:
        self._called("find_document")
        return self.documents.get(key)

    def create_document(self, draft: DocumentDraft) -> Document:
        self._called("create_document")
        if draft.key not in self.documents:
            self.documents[draft.key] = self._document(draft)
            self.drafts.append(draft)
        self.after("create_document")
        return self.documents[draft.key]

    def list_documents(
        self,
        type: DocumentType,
        *,
        changed_since: datetime | None,  # noqa: ARG002 - everything is new here
        cursor: str | None,
        limit: int,
    ) -> Page:
        found = sorted(
            (each for each in self.documents.values() if each.type is type and each.number > (cursor or "")),
            key=lambda each: each.number,
        )
        more = len(found) > limit
        return Page(tuple(found[:limit]), found[limit - 1].number if more else None)

    def today(self) -> date:
        return date(2026, 3, 2)

    def _called(self, operation: str) -> None:
        self.calls[operation] += 1
        self.before(operation)

    def _items(self, query: ItemQuery) -> tuple[ItemMatch, ...]:
        if query.key is ItemKey.BARCODE:
            return tuple(self.barcodes.get(query.value, ()))
        return tuple(
            item for item in self.items if (item.number, item.variant_code) == (query.value, query.variant_code)
        )

    def _document(self, draft: DocumentDraft) -> Document:
        customer = next(each for each in self.customers if each.erp_id == draft.sell_to)
        totals = document_totals(
            [self._priced(line, customer) for line in draft.lines],
            prices_include_vat=draft.prices_include_vat,
            precision=smallest_amount(draft.currency),
            invoice_discount=draft.invoice_discount,
        )
        if totals.amount_incl_vat != draft.expected_total_incl_vat:
            raise Rejected("total_mismatch", f"{totals.amount_incl_vat} is not {draft.expected_total_incl_vat}")
        number = draft.requested_number or f"SO{1001 + len(self.documents)}"
        return Document(
            erp_id=ErpId(f"document-{number}"),
            type=draft.type,
            number=number,
            status=DocumentStatus.RELEASED if draft.release else DocumentStatus.OPEN,
            key=draft.key,
            customer_no=customer.number,
            currency=draft.currency,
            prices_include_vat=draft.prices_include_vat,
            document_date=draft.document_date,
            external_document_no=draft.external_document_no,
            shopify_order_no=draft.shopify_order_no,
            amount=totals.amount,
            amount_incl_vat=totals.amount_incl_vat,
            lines=tuple(
                _sales_line(line, result, self._rate(line, customer))
                for line, result in zip(draft.lines, totals.lines, strict=True)
            ),
        )

    def _priced(self, line: DocumentLine, customer: Customer) -> PricedLine:
        return PricedLine(
            line_no=line.line_no,
            quantity=line.quantity,
            unit_price=line.unit_price,
            line_discount_amount=line.line_discount_amount,
            vat_pct=self._rate(line, customer),
            allow_invoice_discount=line.kind is LineKind.ITEM,
        )

    def _rate(self, line: DocumentLine, customer: Customer) -> Decimal:
        if line.kind is LineKind.COMMENT or line.without_tax:
            return ZERO
        known = [*self.items, *(item for found in self.barcodes.values() for item in found)]
        groups = {item.number: item.tax_product_group for item in known}
        groups |= {code.code: code.tax_product_group for code in self.codes[CodeKind.GL_ACCOUNT]}
        return self.rates[customer.tax_business_group, groups[line.number]]


def _fits(customer: Customer, query: CustomerQuery) -> bool:
    if query.number is not None:
        return customer.number == query.number
    if query.email is not None:
        return customer.email.casefold() == query.email.casefold()
    return customer.phone == query.phone


def _sales_line(line: DocumentLine, result: LineTotals, rate: Decimal) -> SalesLine:
    return SalesLine(
        line_no=line.line_no,
        kind=line.kind,
        number=line.number,
        variant_code=line.variant_code,
        description=line.description,
        quantity=line.quantity,
        unit_price=line.unit_price,
        line_discount_amount=line.line_discount_amount,
        invoice_discount_amount=result.invoice_discount_amount,
        line_amount=result.line_amount,
        vat_pct=rate,
        amount=result.amount,
        amount_incl_vat=result.amount_incl_vat,
    )


def an_erp_setup(**changes: object) -> ErpSetup:
    """What `FakeErp` offers, as the rules see it."""
    ordinary = ErpSetup(
        time_zone="Europe/Rome",
        currencies=frozenset({"EUR", "USD", "JPY"}),
        countries=frozenset({"IT", "DE"}),
        payment_methods=frozenset({"CARD", "GIFT"}),
        shipment_methods=frozenset({"STD"}),
        shipping_agents=frozenset({"DHL"}),
        customer_templates=frozenset({"CONSUMER"}),
        accounts={code.code: Account(code.blocked, code.tax_product_group) for code in CODES[CodeKind.GL_ACCOUNT]},
        lengths=LENGTHS,
    )
    return replace(ordinary, **changes)  # type: ignore[arg-type]  # a builder takes any field
