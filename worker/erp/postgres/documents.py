"""Sales documents of the embedded ERP: checked, added up, written with their lines, read."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from worker.database.queries import load
from worker.erp.port import Page
from worker.erp.postgres.checks import (
    MAX_DECIMALS,
    check_address,
    check_decimals,
    check_length,
    check_text,
    searchable,
    uuid_or_none,
)
from worker.erp.postgres.numbers import next_number
from worker.erp.postgres.operations import Operation, earlier_result
from worker.erp.postgres.setup import company_missing
from worker.errors import Bug, NeedsAttention, Rejected, Scope
from worker.model.address import PartyAddress
from worker.model.ids import ErpId
from worker.model.money import ZERO
from worker.model.sales_document import (
    Document,
    DocumentDraft,
    DocumentLine,
    DocumentStatus,
    DocumentType,
    LineKind,
    SalesLine,
)
from worker.rules.order_totals import DocumentTotals, LineTotals, PricedLine, document_totals

NO_TAX = "NO TAX"
"""VAT identifier of lines that carry none whatever their account says."""
REVERSE = "reverse"

ALLOWED_BLOCKS = {DocumentType.ORDER: frozenset({""}), DocumentType.INVOICE: frozenset({"", "ship"})}
"""Blocks of a customer under which a document may still be made."""


def create(connection: Connection[DictRow], draft: DocumentDraft) -> Document:
    """Create, or return what the same key created before."""
    earlier = earlier_result(connection, Operation.CREATE_DOCUMENT, draft.key, draft)
    return _by_id(connection, earlier or _insert(connection, draft))


def find(connection: Connection[DictRow], key: str) -> Document | None:
    """The document made with this key; None: there is none.

    Raises:
        NeedsAttention("duplicate_in_erp"): there are two.
    """
    rows = connection.execute(load("erp")["get_document"], {"id": None, "external_key": searchable(key)}).fetchall()
    if len(rows) > 1:
        numbers = " and ".join(f"{row['type']} {row['number']}" for row in rows)
        raise NeedsAttention("duplicate_in_erp", f"{numbers} have the same key {key!r}; delete one", Scope.ERP)
    return _with_lines(connection, rows[0]) if rows else None


def page(
    connection: Connection[DictRow],
    type: DocumentType,
    changed_since: datetime | None,
    cursor: str | None,
    limit: int,
) -> Page:
    """Headers by number. The cursor is the last number of the page before."""
    arguments = {"type": type.value, "changed_since": changed_since, "after": cursor, "limit": limit + 1}
    rows = connection.execute(load("erp")["list_documents"], arguments).fetchall()
    more = len(rows) > limit
    items = tuple(_document_of(row, ()) for row in rows[:limit])
    return Page(items, next_cursor=items[-1].number if more else None)


def _insert(connection: Connection[DictRow], draft: DocumentDraft) -> UUID:
    _check_header(draft)
    _check_lines(draft.lines)
    header = _header_facts(connection, draft)
    check_decimals("invoice_discount", draft.invoice_discount, header["decimals"])
    facts = _line_facts(connection, draft, header)
    totals = _add_up(draft, facts, header["decimals"])
    number = draft.requested_number.strip().upper() or next_number(
        connection, header["series"], draft.type.value, header["today"]
    )
    document = _document_row(draft, header, totals, number)
    lines = [_line_row(line, fact, result) for line, fact, result in zip(draft.lines, facts, totals.lines, strict=True)]
    made = connection.execute(
        load("erp")["insert_document"],
        {"document": Jsonb(document), "lines": Jsonb([_jsonable(line) for line in lines]), "key": draft.key},
    ).fetchone()
    if made is None:
        raise Bug("operation_missing", f"key {draft.key!r} was not claimed")
    document_id: UUID = made["id"]
    return document_id


def _check_header(draft: DocumentDraft) -> None:
    for name, address in _addresses(draft).items():
        check_address(f"{name}_address", address)
    for field in ("key", "email", "phone", "external_document_no", "shopify_order_no"):
        check_length(field, getattr(draft, field))
    check_length("number", draft.requested_number.strip(), "requested_number")
    check_text("note", draft.note)
    check_decimals("expected_total_incl_vat", draft.expected_total_incl_vat, MAX_DECIMALS)


def _check_lines(lines: Sequence[DocumentLine]) -> None:
    seen: set[int] = set()
    for line in lines:
        path = f"lines[{line.line_no}]"
        if line.line_no in seen or line.line_no <= 0:
            message = f"{path}: line numbers must be above 0 and differ from each other"
            raise Rejected("duplicate_line_no", message, f"{path}.line_no")
        seen.add(line.line_no)
        check_length("description", line.description, f"{path}.description")
        check_decimals(f"{path}.quantity", line.quantity, MAX_DECIMALS)
        check_decimals(f"{path}.unit_price", line.unit_price, MAX_DECIMALS)
        if line.kind is LineKind.COMMENT and (line.quantity or line.unit_price or line.number):
            message = f"{path}: a comment has no number, quantity and price"
            raise Rejected("comment_with_amount", message, path)


def _header_facts(connection: Connection[DictRow], draft: DocumentDraft) -> DictRow:
    """What the header refers to, proven to exist and to be usable."""
    facts = connection.execute(
        load("erp")["header_facts"],
        {
            "type": draft.type.value,
            "sell_to": uuid_or_none(draft.sell_to),
            "bill_to": uuid_or_none(draft.bill_to),
            "currency": draft.currency,
            "payment_method": draft.payment_method,
            "payment_terms": draft.payment_terms,
            "shipment_method": draft.shipment_method,
            "document_date": draft.document_date,
        },
    ).fetchone()
    if facts is None:
        raise company_missing()
    for field, found, given, blocked in (
        ("sell_to", facts["customer"], draft.sell_to, facts["customer_blocked"]),
        ("bill_to", facts["bill_to"], draft.bill_to, facts["bill_to_blocked"]),
    ):
        if found is None:
            raise Rejected("not_found", f"{field}: there is no customer with id {given!r}; map it again", field)
        if blocked not in ALLOWED_BLOCKS[draft.type]:
            message = f"{field}: customer {found} is blocked ({blocked}); unblock it or map another"
            raise Rejected("blocked", message, field)
    if facts["decimals"] is None:
        message = f"currency: {draft.currency!r} does not exist; import it with `backroom erp import currencies FILE`"
        raise Rejected("currency_not_found", message, "currency")
    if draft.requested_number.strip() and not facts["manual_allowed"]:
        message = (
            f"requested_number: series {facts['series']} does not allow manual numbers "
            f"({draft.requested_number!r}); set its manual_allowed or let the ERP number the document"
        )
        raise Rejected("number_not_manual", message, "requested_number")
    return facts


def _line_facts(connection: Connection[DictRow], draft: DocumentDraft, header: DictRow) -> tuple[DictRow, ...]:
    """Per line its item or account and VAT, proven to exist and to be usable; one round trip."""
    rows = connection.execute(
        load("erp")["line_facts"],
        {
            "kinds": [line.kind.value for line in draft.lines],
            "numbers": [line.number for line in draft.lines],
            "variants": [line.variant_code for line in draft.lines],
            "business_group": header["tax_business_group"],
        },
    ).fetchall()
    for line, facts in zip(draft.lines, rows, strict=True):
        check_decimals(f"lines[{line.line_no}].line_discount_amount", line.line_discount_amount, header["decimals"])
        if line.kind is LineKind.ITEM:
            _check_item(line, facts)
        if line.kind is LineKind.GL_ACCOUNT:
            _check_account(line, facts)
        if line.kind is not LineKind.COMMENT and not line.without_tax and facts["pct"] is None:
            raise tax_setup_missing(header["tax_business_group"], facts["tax_product_group"])
    return tuple(rows)


def _check_item(line: DocumentLine, facts: DictRow) -> None:
    path = f"lines[{line.line_no}]"
    if facts["item"] is None:
        raise Rejected("not_found", f"{path}.number: item {line.number!r} does not exist", f"{path}.number")
    if line.variant_code and facts["variant"] is None:
        message = f"{path}.variant_code: item {line.number} has no variant {line.variant_code!r}"
        raise Rejected("not_found", message, f"{path}.variant_code")
    if facts["item_blocked"]:
        what = f"item {line.number} {line.variant_code}".rstrip()
        raise Rejected("blocked", f"{path}.number: {what} is blocked for sales", f"{path}.number")


def _check_account(line: DocumentLine, facts: DictRow) -> None:
    path = f"lines[{line.line_no}].number"
    if facts["account"] is None:
        raise Rejected("not_found", f"{path}: account {line.number!r} does not exist", path)
    if facts["account_blocked"]:
        raise Rejected("blocked", f"{path}: account {line.number} is blocked", path)
    if not facts["direct_posting"]:
        message = f"{path}: account {line.number} does not allow direct posting; choose another in the settings"
        raise Rejected("no_direct_posting", message, path)


def tax_setup_missing(business_group: str, product_group: str) -> NeedsAttention:
    """The error for a pair of groups without a VAT rate."""
    return NeedsAttention(
        "tax_setup_missing",
        f"there is no VAT rate for business group {business_group!r} (of the customer) and product group "
        f"{product_group!r} (of the item or account); add it with `backroom erp import tax-rates FILE`",
        Scope.ERP,
    )


def _add_up(draft: DocumentDraft, facts: Sequence[DictRow], decimals: int) -> DocumentTotals:
    """The totals, proven to be what the caller expects."""
    totals = document_totals(
        [_priced(line, fact) for line, fact in zip(draft.lines, facts, strict=True)],
        prices_include_vat=draft.prices_include_vat,
        precision=Decimal(1).scaleb(-decimals),
        invoice_discount=draft.invoice_discount,
    )
    difference = totals.amount_incl_vat - draft.expected_total_incl_vat
    if difference:
        raise Rejected(
            "total_mismatch",
            f"the document's total would be {totals.amount_incl_vat:f} {draft.currency} including VAT, expected is "
            f"{draft.expected_total_incl_vat:f} (difference {difference:+f}); nothing was created. Usual causes: "
            "another VAT rate in the ERP than in the shop, or prices with and without VAT mixed up",
            "expected_total_incl_vat",
        )
    return totals


def _priced(line: DocumentLine, facts: DictRow) -> PricedLine:
    taxed = line.kind is not LineKind.COMMENT and not line.without_tax
    return PricedLine(
        line_no=line.line_no,
        quantity=line.quantity,
        unit_price=line.unit_price,
        line_discount_amount=line.line_discount_amount,
        vat_pct=_effective_pct(facts) if taxed else ZERO,
        vat_identifier=facts["identifier"] if taxed else NO_TAX,
        allow_invoice_discount=line.kind is LineKind.ITEM and facts["allow_invoice_discount"],
    )


def _effective_pct(facts: DictRow) -> Decimal:
    pct: Decimal = ZERO if facts["tax_kind"] == REVERSE else facts["pct"]
    return pct


def _addresses(draft: DocumentDraft) -> dict[str, PartyAddress]:
    return {
        "sell_to": draft.sell_to_address,
        "bill_to": draft.bill_to_address,
        "ship_to": draft.ship_to_address,
    }


def _document_row(draft: DocumentDraft, header: DictRow, totals: DocumentTotals, number: str) -> dict[str, object]:
    addresses = {
        f"{party}_{field}": value
        for party, address in _addresses(draft).items()
        for field, value in asdict(address).items()
    }
    return _jsonable(
        {
            **addresses,
            "type": draft.type.value,
            "number": number,
            "status": (DocumentStatus.RELEASED if draft.release else DocumentStatus.OPEN).value,
            "external_key": draft.key,
            "customer": header["customer"],
            "bill_to": header["bill_to"],
            "email": draft.email,
            "phone": draft.phone,
            "currency": draft.currency,
            "prices_include_vat": draft.prices_include_vat,
            "document_date": draft.document_date,
            "due_date": draft.due_date or header["due_date"],
            "external_document_no": draft.external_document_no,
            "shopify_order_id": draft.shopify_order_id,
            "shopify_order_no": draft.shopify_order_no,
            "payment_method": header["payment_method"],
            "payment_terms": header["payment_terms"],
            "shipment_method": header["shipment_method"],
            "shipping_agent": draft.shipping_agent,
            "shipping_agent_service": draft.shipping_agent_service,
            "note": draft.note,
            "invoice_discount": totals.invoice_discount,
            "amount": totals.amount,
            "vat_amount": totals.vat_amount,
            "amount_incl_vat": totals.amount_incl_vat,
        }
    )


def _line_row(line: DocumentLine, facts: DictRow, result: LineTotals) -> dict[str, object]:
    priced = _priced(line, facts)
    return {
        **asdict(result),
        "kind": line.kind.value,
        "item": facts["item"],
        "account": facts["account"],
        "variant": line.variant_code,
        "unit": line.unit_of_measure or facts["unit"],
        "location": line.location,
        "description": line.description,
        "quantity": line.quantity,
        "unit_price": line.unit_price,
        "line_discount_amount": line.line_discount_amount,
        "tax_product_group": facts["tax_product_group"] or "",
        "vat_identifier": priced.vat_identifier,
        "vat_pct": priced.vat_pct,
        "shopify_line_id": line.shopify_line_id,
    }


def _jsonable(row: dict[str, object]) -> dict[str, object]:
    """Decimals and dates as text, which PostgreSQL reads exactly."""
    return {name: value if isinstance(value, (int, str, type(None))) else str(value) for name, value in row.items()}


def _by_id(connection: Connection[DictRow], document_id: UUID) -> Document:
    row = connection.execute(load("erp")["get_document"], {"id": document_id, "external_key": None}).fetchone()
    if row is None:
        raise Rejected("not_found", f"document {document_id} was deleted", "key")
    return _with_lines(connection, row)


def _with_lines(connection: Connection[DictRow], row: DictRow) -> Document:
    lines = connection.execute(load("erp")["get_lines"], {"document": row["id"]})
    return _document_of(row, tuple(_line_of(line) for line in lines))


def _document_of(row: DictRow, lines: tuple[SalesLine, ...]) -> Document:
    return Document(
        erp_id=ErpId(str(row["id"])),
        type=DocumentType(row["type"]),
        number=row["number"],
        status=DocumentStatus(row["status"]),
        key=row["external_key"],
        customer_no=row["customer"],
        currency=row["currency"],
        prices_include_vat=row["prices_include_vat"],
        document_date=row["document_date"],
        external_document_no=row["external_document_no"],
        shopify_order_no=row["shopify_order_no"],
        amount=row["amount"],
        amount_incl_vat=row["amount_incl_vat"],
        lines=lines,
    )


def _line_of(row: DictRow) -> SalesLine:
    return SalesLine(
        line_no=row["line_no"],
        kind=LineKind(row["kind"]),
        number=row["number"],
        variant_code=row["variant"],
        description=row["description"],
        quantity=row["quantity"],
        unit_price=row["unit_price"],
        line_discount_amount=row["line_discount_amount"],
        invoice_discount_amount=row["invoice_discount_amount"],
        line_amount=row["line_amount"],
        vat_pct=row["vat_pct"],
        amount=row["amount"],
        amount_incl_vat=row["amount_incl_vat"],
    )
