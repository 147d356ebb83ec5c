"""The sales document of an order: its lines, its discount, its parties, and the proof of its total
(orders spec 5 and 10).

Two steps, because VAT depends on the customer, who may have to be created first: `plan_sale` maps everything an
order says; `draft_document` adds the parties and the ERP's VAT rates and answers with a draft whose total equals
the order's to the cent. A difference of at most one cent per line (never above five), which comes from rounding
VAT per group here and per line there, goes on a line of its own; any other is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from schemas.shop_settings import ShopSettings
from worker.errors import Rejected
from worker.model.address import Address, PartyAddress
from worker.model.customer import Customer
from worker.model.ids import numeric_id
from worker.model.item import ItemMatches, ItemQuery
from worker.model.money import ZERO, round_to, smallest_amount
from worker.model.sales_document import DocumentDraft, DocumentLine, LineKind
from worker.model.shopify_order import OrderLine, ShippingCharge, ShopifyOrder
from worker.report import Issue
from worker.rules.item_match import MatchedItem, match_item
from worker.rules.mapping_tables import ErpSetup, ShipmentMapping, ShopMappings
from worker.rules.names import (
    NameRules,
    clean_phone,
    fitted_address,
    party_address,
    shortened,
    unless_too_long,
    with_person,
)
from worker.rules.order_mapping import (
    Header,
    document_currency,
    in_document_currency,
    map_header,
    missing_setting,
)
from worker.rules.order_refusals import NOTHING_LEFT
from worker.rules.order_totals import PricedLine, document_totals

PURPOSE = "sale"
"""Purpose of the document that an order itself becomes; refunds and exchanges have others."""
LINE_STEP = 10_000
MOST_ROUNDING_UNITS = 5
"""Smallest amounts that a rounding line may carry at most: 0.05 EUR, 5 JPY."""


@dataclass(frozen=True, slots=True)
class PlannedLine:
    """A line of the document, and what decides about its VAT."""

    line: DocumentLine
    tax_product_group: str = ""


@dataclass(frozen=True, slots=True)
class Sale:
    """All that an order says about its document: only parties and VAT are open."""

    order: ShopifyOrder
    key: str
    header: Header
    lines: tuple[PlannedLine, ...]
    invoice_discount: Decimal
    expected_total: Decimal
    """What the buyer owes, VAT included, in the document's currency."""

    @property
    def tax_product_groups(self) -> frozenset[str]:
        """The groups whose VAT rates `draft_document` needs."""
        return frozenset(planned.tax_product_group for planned in self.lines if _taxed(planned)) - {""}


def document_key(shop_code: str, order_id: str, purpose: str = PURPOSE) -> str:
    """Idempotency key of an order's document (ERP spec 1.4).

    >>> document_key("my-shop", "gid://shopify/Order/12")
    'D:my-shop:order:12:sale'
    """
    return f"D:{shop_code}:order:{numeric_id(order_id)}:{purpose}"


def plan_sale(
    order: ShopifyOrder,
    shop_code: str,
    settings: ShopSettings,
    mappings: ShopMappings,
    answers: Mapping[ItemQuery, ItemMatches],
    erp: ErpSetup,
) -> Sale | tuple[Issue, ...]:
    """Map an order, or say everything that stands in the way. `answers` are those to `item_queries` of its lines."""
    header = map_header(order, settings, mappings, erp)
    lines = _Lines(order, shop_code, settings, mappings, answers, erp).all()
    issues = [*(header if isinstance(header, tuple) else ()), *(line for line in lines if isinstance(line, Issue))]
    planned = [line for line in lines if isinstance(line, PlannedLine)]
    if not issues and not any(line.line.kind is not LineKind.COMMENT for line in planned):
        issues.append(Issue(NOTHING_LEFT, f"nothing is left to sell on {order.name}", entity="order", value=order.name))
    if issues or isinstance(header, tuple):
        return tuple(issues)
    return Sale(
        order=order,
        key=document_key(shop_code, order.id),
        header=header,
        lines=tuple(planned),
        invoice_discount=global_discount(order, settings),
        expected_total=expected_total(order, settings),
    )


def amount_text(amount: Decimal, currency: str) -> str:
    """The amount with the decimals of its currency, and more only where it has more.

    >>> amount_text(Decimal("25.00000"), "EUR"), amount_text(Decimal("0.12345"), "EUR")
    ('25.00', '0.12345')
    """
    rounded = round_to(amount, smallest_amount(currency))
    return f"{rounded if rounded == amount else amount.normalize():f}"


def expected_total(order: ShopifyOrder, settings: ShopSettings) -> Decimal:
    """What the document must add up to, VAT included: the order as it is now, plus cash rounding (spec 5 (e))."""
    return in_document_currency(order.current_total + order.payment_rounding, settings)


def global_discount(order: ShopifyOrder, settings: ShopSettings) -> Decimal:
    """D: what is discounted beyond the allocations of lines and shipping; from current values (spec 5, 10.5).

    Normally 0, because allocations already contain discounts of the whole order.
    """
    of_lines = sum((current_discount(line, order, settings) for line in order.lines), ZERO)
    of_shipping = sum((in_document_currency(charge.discount, settings) for charge in order.shipping_charges), ZERO)
    return max(ZERO, in_document_currency(order.current_discounts, settings) - of_lines - of_shipping)


def current_discount(line: OrderLine, order: ShopifyOrder, settings: ShopSettings) -> Decimal:
    """The discount of what is left of a line: allocations still contain removed pieces (spec 10.5)."""
    discount = in_document_currency(line.discount, settings)
    if line.current_quantity == line.quantity:
        return discount
    unit = smallest_amount(document_currency(order, settings))
    return round_to(discount * line.current_quantity / line.quantity, unit)


def draft_document(
    sale: Sale,
    sell_to: Customer,
    bill_to: Customer,
    vat_rates: Mapping[str, Decimal],
    shop_code: str,
    settings: ShopSettings,
    erp: ErpSetup,
) -> DocumentDraft | tuple[Issue, ...]:
    """The draft, proven to add up to the order. `vat_rates`: percentage by tax product group for `sell_to`.

    An address that the order lacks is the customer's own.
    """
    untaxable = [planned for planned in sale.lines if _taxed(planned) and planned.tax_product_group not in vat_rates]
    if untaxable:
        return tuple(_vat_rate_missing(planned, sell_to) for planned in untaxable)
    rounding = _rounding(sale, vat_rates, shop_code, settings, erp)
    if isinstance(rounding, Issue):
        return (rounding,)
    lines = tuple(planned.line for planned in sale.lines) + rounding
    order, header = sale.order, sale.header
    return DocumentDraft(
        type=header.type,
        key=sale.key,
        sell_to=sell_to.erp_id,
        bill_to=bill_to.erp_id,
        sell_to_address=_address(order.sell_to or order.bill_to, order, sell_to, settings, erp),
        bill_to_address=_address(order.bill_to or order.sell_to, order, bill_to, settings, erp),
        ship_to_address=_address(order.ship_to or order.sell_to, order, sell_to, settings, erp),
        email=unless_too_long(_email(order), "email", erp.lengths),
        phone=unless_too_long(clean_phone(_phone(order)), "phone", erp.lengths),
        currency=header.currency,
        prices_include_vat=order.taxes_included,
        document_date=header.document_date,
        external_document_no=shortened(header.external_document_no, "external_document_no", erp.lengths),
        shopify_order_id=numeric_id(order.id),
        shopify_order_no=shortened(order.name, "shopify_order_no", erp.lengths),
        lines=lines,
        expected_total_incl_vat=sale.expected_total,
        due_date=order.due_date,
        payment_method=header.payment_method,
        shipment_method=header.shipment_method,
        shipping_agent=header.shipping_agent,
        shipping_agent_service=header.shipping_agent_service,
        note=order.note,
        requested_number=header.requested_number,
        invoice_discount=sale.invoice_discount,
        release=settings.auto_release_sales_orders,
    )


class _Lines:
    """Makes the lines of one document, in the order of the table of spec 5."""

    def __init__(
        self,
        order: ShopifyOrder,
        shop_code: str,
        settings: ShopSettings,
        mappings: ShopMappings,
        answers: Mapping[ItemQuery, ItemMatches],
        erp: ErpSetup,
    ) -> None:
        self._order = order
        self._shop_code = shop_code
        self._settings = settings
        self._mappings = mappings
        self._answers = answers
        self._erp = erp
        self._made: list[PlannedLine | Issue] = []

    def all(self) -> Sequence[PlannedLine | Issue]:
        """Every line, numbered 10000, 20000, …; an issue where a line cannot be made."""
        order = self._order
        if self._settings.shopify_order_no_on_doc_line:
            self._comment(f"Shopify Order No.: {order.name}")
        for line in sorted(order.lines, key=lambda line: line.position):
            if line.current_quantity <= 0:
                continue
            if line.tip:
                self._tip(line)
            else:
                self._item(line)
        for charge in order.shipping_charges:
            if in_document_currency(charge.amount, self._settings) > 0:
                self._shipping(charge)
        rounding = in_document_currency(order.payment_rounding, self._settings)
        if rounding:
            self._cash_rounding(rounding)
        return self._made

    def _comment(self, text: str) -> None:
        line = DocumentLine(self._next_no(), LineKind.COMMENT, self._description(text))
        self._made.append(PlannedLine(line))

    def _item(self, line: OrderLine) -> None:
        link = self._mappings.variants.get(line.variant_id) if line.variant_id is not None else None
        match = match_item(line, link, self._answers, by_barcode=self._settings.find_mapping_by_barcode)
        if isinstance(match, Issue):
            self._made.append(match)
            return
        self._made.append(PlannedLine(self._sold(line, match), match.tax_product_group))

    def _sold(self, line: OrderLine, item: MatchedItem) -> DocumentLine:
        return DocumentLine(
            line_no=self._next_no(),
            kind=LineKind.ITEM,
            description=self._description(line.title),
            number=item.number,
            variant_code=item.variant_code,
            unit_of_measure=item.unit_of_measure,
            quantity=Decimal(line.current_quantity),
            unit_price=in_document_currency(line.unit_price, self._settings),
            line_discount_amount=current_discount(line, self._order, self._settings),
            shopify_line_id=numeric_id(line.id),
        )

    def _tip(self, line: OrderLine) -> None:
        self._on_account(
            "tip_account",
            self._settings.tip_account,
            f"{self._order.name} has a tip, which needs an account",
            line.title,
            Decimal(line.current_quantity),
            in_document_currency(line.unit_price, self._settings),
            current_discount(line, self._order, self._settings),
            shopify_line_id=numeric_id(line.id),
        )

    def _shipping(self, charge: ShippingCharge) -> None:
        mapped = self._mappings.shipments.get(charge.title, ShipmentMapping()).account
        self._on_account(
            "shipping_charges_account",
            mapped or self._settings.shipping_charges_account,
            f"the shipping charge “{charge.title}” needs an account, its own or the shop's",
            charge.title,
            Decimal(1),
            in_document_currency(charge.amount, self._settings),
            in_document_currency(charge.discount, self._settings),
            shopify_line_id=numeric_id(charge.id),
        )

    def _cash_rounding(self, amount: Decimal) -> None:
        self._on_account(
            "cash_roundings_account",
            self._settings.cash_roundings_account,
            f"{self._order.name} was rounded for cash, which needs an account",
            "Cash rounding",
            Decimal(1),
            amount,
            ZERO,
            without_tax=True,
        )

    def _on_account(
        self,
        setting: str,
        account_no: str,
        reason: str,
        description: str,
        quantity: Decimal,
        unit_price: Decimal,
        discount: Decimal,
        *,
        without_tax: bool = False,
        shopify_line_id: int | None = None,
    ) -> None:
        if not account_no:
            self._made.append(missing_setting(self._shop_code, setting, reason))
            return
        problem = account_issue(account_no, self._erp)
        if problem is not None:
            self._made.append(problem)
            return
        line = DocumentLine(
            line_no=self._next_no(),
            kind=LineKind.GL_ACCOUNT,
            description=self._description(description),
            number=account_no,
            quantity=quantity,
            unit_price=unit_price,
            line_discount_amount=discount,
            without_tax=without_tax,
            shopify_line_id=shopify_line_id,
        )
        self._made.append(PlannedLine(line, self._erp.accounts[account_no].tax_product_group))

    def _next_no(self) -> int:
        return (len(self._made) + 1) * LINE_STEP

    def _description(self, text: str) -> str:
        return shortened(text, "description", self._erp.lengths)


def account_issue(account_no: str, erp: ErpSetup) -> Issue | None:
    """Why a G/L account cannot be used; None: it can."""
    account = erp.accounts.get(account_no)
    if account is None:
        return Issue(
            "account_not_found",
            f"the ERP has no G/L account {account_no}: create it, or set another one",
            entity="account",
            value=account_no,
        )
    if account.blocked:
        return Issue(
            "account_blocked",
            f"G/L account {account_no} is blocked: unblock it, or set another one",
            entity="account",
            value=account_no,
        )
    return None


def _taxed(planned: PlannedLine) -> bool:
    return planned.line.kind is not LineKind.COMMENT and not planned.line.without_tax


def _priced(planned: PlannedLine, vat_rates: Mapping[str, Decimal]) -> PricedLine:
    line = planned.line
    return PricedLine(
        line_no=line.line_no,
        quantity=line.quantity,
        unit_price=line.unit_price,
        line_discount_amount=line.line_discount_amount,
        vat_pct=vat_rates[planned.tax_product_group] if _taxed(planned) else ZERO,
        allow_invoice_discount=line.kind is LineKind.ITEM,
    )


def _rounding(
    sale: Sale, vat_rates: Mapping[str, Decimal], shop_code: str, settings: ShopSettings, erp: ErpSetup
) -> tuple[DocumentLine, ...] | Issue:
    """The line that makes the document equal the order: none where it does already."""
    unit = smallest_amount(sale.header.currency)
    try:
        totals = document_totals(
            [_priced(planned, vat_rates) for planned in sale.lines],
            prices_include_vat=sale.order.taxes_included,
            precision=unit,
            invoice_discount=sale.invoice_discount,
        )
    except Rejected as error:
        return Issue(error.code, error.message, entity="order", value=sale.order.name)
    difference = sale.expected_total - totals.amount_incl_vat
    if not difference:
        return ()
    priced = sum(planned.line.kind is not LineKind.COMMENT for planned in sale.lines)
    small = abs(difference) <= min(priced, MOST_ROUNDING_UNITS) * unit
    account = settings.cash_roundings_account
    if not small or not account:
        return _total_mismatch(sale, totals.amount_incl_vat, difference, shop_code if small else None)
    return account_issue(account, erp) or (
        DocumentLine(
            line_no=sale.lines[-1].line.line_no + LINE_STEP,
            kind=LineKind.GL_ACCOUNT,
            description="Rounding",
            number=account,
            quantity=Decimal(1),
            unit_price=difference,
            without_tax=True,
        ),
    )


def _total_mismatch(sale: Sale, total: Decimal, difference: Decimal, shop_code: str | None) -> Issue:
    """`shop_code` is None where the difference is too large for a rounding line."""
    way_out = (
        "compare taxes, discounts and duties of the order with the VAT setup of the ERP"
        if shop_code is None
        else f"let a rounding line carry it: `backroom shops set {shop_code} cash_roundings_account=NUMBER`"
    )
    currency = sale.header.currency
    shown, ordered, apart = (amount_text(amount, currency) for amount in (total, sale.expected_total, difference))
    return Issue(
        "total_mismatch",
        f"the document would add up to {shown} {currency}, the order to {ordered} {currency}, "
        f"a difference of {apart}: {way_out}",
        entity="order",
        value=sale.order.name,
        fields={"document_total": shown, "order_total": ordered, "difference": apart},
    )


def _vat_rate_missing(planned: PlannedLine, customer: Customer) -> Issue:
    line, group = planned.line, planned.tax_product_group
    return Issue(
        "vat_rate_missing",
        f"the ERP has no VAT rate for {line.number} (product group {group or 'not set'}) and customer "
        f"{customer.number}: set both there",
        entity="vat",
        value=line.number,
    )


def _address(
    address: Address | None, order: ShopifyOrder, party: Customer, settings: ShopSettings, erp: ErpSetup
) -> PartyAddress:
    if address is None:
        return party.address
    first, last = (order.customer.first_name, order.customer.last_name) if order.customer else ("", "")
    named = party_address(with_person(address, first, last), NameRules.of(settings))
    return fitted_address(named, erp.lengths, erp.countries)


def _email(order: ShopifyOrder) -> str:
    return order.email or (order.customer.email if order.customer is not None else "")


def _phone(order: ShopifyOrder) -> str:
    """The first phone that the order shows, in the sequence of spec 3.2."""
    customer = order.customer
    addresses = (
        order.sell_to,
        Address(phone=customer.phone) if customer is not None else None,
        customer.default_address if customer is not None else None,
        order.ship_to,
        order.bill_to,
    )
    candidates = (order.phone, *(address.phone for address in addresses if address is not None))
    return next((phone for phone in candidates if phone), "")
