"""Sales documents of the ERP: the draft we send and the document we get back (ERP spec 1.3)."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from worker.model.address import PartyAddress
from worker.model.ids import ErpId


class DocumentType(StrEnum):
    ORDER = "order"
    INVOICE = "invoice"


class DocumentStatus(StrEnum):
    OPEN = "open"
    RELEASED = "released"


class LineKind(StrEnum):
    COMMENT = "comment"
    ITEM = "item"
    GL_ACCOUNT = "gl_account"


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """One line of a draft. Amounts are in the document's currency, with or without VAT as the header says."""

    line_no: int
    """Ours: 10000, 20000, …"""
    kind: LineKind
    description: str
    number: str = ""
    """Item or account number; empty for comments."""
    variant_code: str = ""
    unit_of_measure: str = ""
    quantity: Decimal = Decimal(0)
    unit_price: Decimal = Decimal(0)
    line_discount_amount: Decimal = Decimal(0)
    """0 … quantity x unit price."""
    without_tax: bool = False
    """The line carries no VAT whatever its account says (cash rounding)."""
    location: str = ""
    shopify_line_id: int | None = None


@dataclass(frozen=True, slots=True)
class DocumentDraft:
    """A document to create. Empty text means: leave it to the ERP."""

    type: DocumentType
    key: str
    """Idempotency key: the same key never gives a second document (ERP spec 1.4)."""
    sell_to: ErpId
    bill_to: ErpId
    sell_to_address: PartyAddress
    bill_to_address: PartyAddress
    ship_to_address: PartyAddress
    email: str
    phone: str
    currency: str
    prices_include_vat: bool
    document_date: date
    external_document_no: str
    shopify_order_id: int
    shopify_order_no: str
    lines: tuple[DocumentLine, ...]
    expected_total_incl_vat: Decimal
    """The document is refused (`total_mismatch`) unless its own total equals this to the cent."""
    due_date: date | None = None
    payment_method: str = ""
    payment_terms: str = ""
    shipment_method: str = ""
    shipping_agent: str = ""
    shipping_agent_service: str = ""
    note: str = ""
    requested_number: str = ""
    invoice_discount: Decimal = Decimal(0)
    release: bool = False


@dataclass(frozen=True, slots=True)
class SalesLine:
    """A line as the ERP sees it."""

    line_no: int
    kind: LineKind
    number: str
    variant_code: str
    description: str
    quantity: Decimal
    unit_price: Decimal
    line_discount_amount: Decimal
    invoice_discount_amount: Decimal
    line_amount: Decimal
    """quantity x unit price - line discount, with or without VAT as the header says."""
    vat_pct: Decimal
    amount: Decimal
    """Net of VAT, after the invoice discount."""
    amount_incl_vat: Decimal


@dataclass(frozen=True, slots=True)
class Document:
    """A document as the ERP sees it."""

    erp_id: ErpId
    type: DocumentType
    number: str
    status: DocumentStatus
    key: str
    customer_no: str
    currency: str
    prices_include_vat: bool
    document_date: date
    external_document_no: str
    shopify_order_no: str
    amount: Decimal
    amount_incl_vat: Decimal
    lines: tuple[SalesLine, ...]
    """Empty where only headers were asked for."""
    dropped: tuple[str, ...] = ()
    """Fields of the draft that this ERP could not carry."""
