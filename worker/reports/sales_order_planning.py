"""Report 30103, first half: reads a batch of orders and decides about each. Writes nothing.

The ERP is asked a constant number of times per batch, however many orders it holds: customers by number and
contact, linked customers, who pays for them, items, and VAT rates once per VAT group of customers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import TypeVar

from worker.database import mappings as mapping_store
from worker.database import orders as mirror
from worker.database.orders import StoredOrder
from worker.erp.port import CodeKind, ErpPort
from worker.model.customer import Customer, CustomerQuery
from worker.model.ids import ErpId, Gid
from worker.model.item import ItemMatches, ItemQuery
from worker.model.sales_document import Document, DocumentDraft
from worker.model.shopify_order import ShopifyOrder
from worker.report import Issue, Run
from worker.rules.customer_match import (
    Buyer,
    FoundCustomer,
    NewCustomer,
    buyer_of,
    customer_queries,
    match_customer,
)
from worker.rules.item_match import item_queries
from worker.rules.mapping_tables import Account, ErpSetup, ShopMappings
from worker.rules.names import NameRules
from worker.rules.order_refusals import CANCELLED_BEFORE_PROCESSING, refusals
from worker.rules.sales_order import PURPOSE, Sale, document_key, draft_document, plan_sale

ERP_QUERIES_AT_ONCE = 500
"""Most queries of one ERP call (ERP spec 1.2)."""

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Parties:
    """Whom the document is for, and who pays."""

    sell_to: Customer
    bill_to: Customer


@dataclass(frozen=True, slots=True)
class Create:
    """A document to create. `draft` is None where the customer has to be created first."""

    order: ShopifyOrder
    sale: Sale
    customer: FoundCustomer | NewCustomer
    draft: DocumentDraft | None
    linked: ErpId | None
    """The link of the buyer as it was read; None: there was none."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """The document exists already: an earlier attempt made it and could not say so."""

    order: ShopifyOrder
    document: Document


@dataclass(frozen=True, slots=True)
class Refuse:
    """No document: the order needs somebody first."""

    order: ShopifyOrder
    issues: tuple[Issue, ...]
    error: Issue | None = None
    """What the ERP itself refused; None: it was not asked to write."""

    @property
    def reasons(self) -> tuple[Issue, ...]:
        """All that stands in the way."""
        return self.issues if self.error is None else (*self.issues, self.error)


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing to do."""

    order_id: Gid
    label: str
    reason: str


Decision = Create | Adopt | Refuse | Leave


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """The decisions in the order asked for, and what the batch should leave in the mapping tables."""

    decisions: tuple[Decision, ...]
    orders: tuple[ShopifyOrder, ...]
    mappings: ShopMappings
    countries: frozenset[str]
    """Countries that buyers came from."""


class VatRates:
    """VAT percentages by product group, asked once per VAT group of customers."""

    def __init__(self, erp: ErpPort) -> None:
        self._erp = erp
        self._known: dict[str, dict[str, Decimal]] = {}

    def of(self, customer: Customer, groups: frozenset[str]) -> Mapping[str, Decimal]:
        """The rates for that customer, of at least these product groups."""
        known = self._known.setdefault(self._key(customer), {})
        missing = sorted(groups - known.keys())
        if missing:
            known.update(self._erp.vat_rate(customer.erp_id, missing))
        return known

    def prepare(self, needs: Iterable[tuple[Customer, frozenset[str]]]) -> None:
        """Ask for all that a batch needs, once per VAT group of customers."""
        wanted: dict[str, tuple[Customer, frozenset[str]]] = {}
        for customer, groups in needs:
            _, before = wanted.get(self._key(customer), (customer, frozenset()))
            wanted[self._key(customer)] = (customer, before | groups)
        for customer, groups in wanted.values():
            self.of(customer, groups)

    @staticmethod
    def _key(customer: Customer) -> str:
        """Customers of one VAT group share their rates; an ERP without such groups is asked per customer."""
        return f"group {customer.tax_business_group}" if customer.tax_business_group else customer.erp_id


class Planner:
    """Decides about batches of orders of one shop. Made once a run: the ERP's code tables are read once."""

    def __init__(self, run: Run, erp: ErpPort) -> None:
        self._run = run
        self._erp = erp
        self._shop = run.shop
        self.setup = read_setup(erp)
        self.vat_rates = VatRates(erp)

    def plan(self, order_ids: Sequence[Gid]) -> BatchPlan:
        """One decision per id, in the same order."""
        with self._run.read() as connection:
            stored = {each.order.id: each for each in mirror.load_orders(connection, self._shop.code, order_ids)}
            orders = tuple(each.order for each in stored.values())
            mappings = mapping_store.load_mappings(connection, self._shop.code, orders)
            documents = mapping_store.documents(connection, self._shop.code, order_ids, PURPOSE)
        decided: dict[Gid, Decision] = {}
        waiting: list[ShopifyOrder] = []
        for order_id in order_ids:
            early = self._early(order_id, stored.get(order_id), order_id in documents)
            if early is None:
                waiting.append(stored[order_id].order)
            else:
                decided[order_id] = early
        decided.update(self._map(waiting, mappings))
        buyers = (buyer_of(order, NameRules.of(self._shop.settings)) for order in orders)
        drafts = (buyer.new_customer for buyer in buyers if buyer.new_customer is not None)
        return BatchPlan(
            decisions=tuple(decided[order_id] for order_id in order_ids),
            orders=orders,
            mappings=mappings,
            countries=frozenset(draft.address.country for draft in drafts if draft.address.country),
        )

    def _early(self, order_id: Gid, stored: StoredOrder | None, intended: bool) -> Decision | None:
        """What can be said before anything is mapped; None: the order has to be mapped."""
        if stored is None:
            return Leave(order_id, order_id, "order_not_imported: import it first, with report sync_orders")
        order = stored.order
        if stored.state.processed:
            return Leave(order_id, order.name, "already_processed: its document exists")
        if intended:
            document = self._erp.find_document(document_key(self._shop.code, order_id))
            if document is not None:
                return Adopt(order, document)
        issues = refusals(order)
        if any(issue.code == CANCELLED_BEFORE_PROCESSING for issue in issues):
            return Leave(order_id, order.name, f"{issues[0].code}: {issues[0].message}")
        return Refuse(order, issues) if issues else None

    def draft(
        self, sale: Sale, parties: Parties, vat_rates: Mapping[str, Decimal]
    ) -> DocumentDraft | tuple[Issue, ...]:
        """The draft for known parties, proven to add up to the order; else what stands in the way."""
        return draft_document(
            sale,
            parties.sell_to,
            parties.bill_to,
            vat_rates,
            self._shop.code,
            self._shop.settings,
            self.setup,
        )

    def parties(self, sell_to: Customer, payers: Mapping[ErpId, Customer]) -> Parties | Issue:
        """The customer and who pays for it; an issue where the payer is gone or blocked."""
        if sell_to.bill_to is None or sell_to.bill_to == sell_to.erp_id:
            return Parties(sell_to, sell_to)
        payer = payers.get(sell_to.bill_to)
        if payer is None or payer.blocked:
            problem = "does not exist" if payer is None else f"({payer.number}) is blocked"
            return Issue(
                "customer_blocked",
                f"who pays for customer {sell_to.number} {problem}: correct its bill-to customer in the ERP",
                entity="customer",
                value=sell_to.number,
            )
        return Parties(sell_to, payer)

    def _map(self, orders: Sequence[ShopifyOrder], mappings: ShopMappings) -> Mapping[Gid, Decision]:
        """Items, customers, payers, VAT: asked for all orders at once, then decided order by order."""
        sales = self._sales(orders, mappings)
        customers = self._customers(orders, mappings)
        payers = self._payers(found.customer for found in customers.values() if isinstance(found, FoundCustomer))
        self.vat_rates.prepare(
            (found.customer, sale.tax_product_groups)
            for order_id, sale in sales.items()
            if isinstance(sale, Sale) and isinstance(found := customers[order_id], FoundCustomer)
        )
        return {
            order.id: self._decide(order, sales[order.id], customers[order.id], payers, _link(order, mappings))
            for order in orders
        }

    def _decide(
        self,
        order: ShopifyOrder,
        sale: Sale | tuple[Issue, ...],
        customer: FoundCustomer | NewCustomer | Issue,
        payers: Mapping[ErpId, Customer],
        linked: ErpId | None,
    ) -> Decision:
        issues = (*(sale if isinstance(sale, tuple) else ()), *((customer,) if isinstance(customer, Issue) else ()))
        if isinstance(sale, tuple) or isinstance(customer, Issue):
            return Refuse(order, issues)
        if isinstance(customer, NewCustomer):
            return Create(order, sale, customer, None, linked)
        parties = self.parties(customer.customer, payers)
        if isinstance(parties, Issue):
            return Refuse(order, (parties,))
        draft = self.draft(sale, parties, self.vat_rates.of(parties.sell_to, sale.tax_product_groups))
        return Refuse(order, draft) if isinstance(draft, tuple) else Create(order, sale, customer, draft, linked)

    def _sales(self, orders: Sequence[ShopifyOrder], mappings: ShopMappings) -> dict[Gid, Sale | tuple[Issue, ...]]:
        settings = self._shop.settings
        queries = [
            query
            for order in orders
            for line in order.lines
            if line.current_quantity > 0 and not line.tip
            for query in item_queries(
                line,
                mappings.variants.get(line.variant_id) if line.variant_id is not None else None,
                by_barcode=settings.find_mapping_by_barcode,
            )
        ]
        answers: dict[ItemQuery, ItemMatches] = {}
        for some in _chunks(_unique(queries)):
            answers.update(zip(some, self._erp.find_items(some), strict=True))
        return {
            order.id: plan_sale(order, self._shop.code, settings, mappings, answers, self.setup) for order in orders
        }

    def _customers(
        self, orders: Sequence[ShopifyOrder], mappings: ShopMappings
    ) -> dict[Gid, FoundCustomer | NewCustomer | Issue]:
        settings = self._shop.settings
        buyers: dict[Gid, Buyer] = {order.id: buyer_of(order, NameRules.of(settings)) for order in orders}
        queries = [
            query for buyer in buyers.values() for query in customer_queries(buyer, settings, mappings.countries)
        ]
        answers: dict[CustomerQuery, tuple[Customer, ...]] = {}
        for some in _chunks(_unique(queries)):
            answers.update(zip(some, self._erp.find_customers(some), strict=True))
        links = [link for order in orders if (link := _link(order, mappings)) is not None]
        linked = self._by_id(links)
        return {
            order.id: match_customer(
                buyers[order.id],
                linked.get(link) if (link := _link(order, mappings)) is not None else None,
                answers,
                shop_code=self._shop.code,
                settings=settings,
                countries=mappings.countries,
                erp=self.setup,
            )
            for order in orders
        }

    def _payers(self, customers: Iterable[Customer]) -> Mapping[ErpId, Customer]:
        return self._by_id([customer.bill_to for customer in customers if customer.bill_to is not None])

    def _by_id(self, ids: Sequence[ErpId]) -> Mapping[ErpId, Customer]:
        return {
            customer.erp_id: customer for some in _chunks(_unique(ids)) for customer in self._erp.get_customers(some)
        }


def read_setup(erp: ErpPort) -> ErpSetup:
    """The company and its code tables: eight calls, once a run."""
    company = erp.company()

    def codes(kind: CodeKind) -> frozenset[str]:
        return frozenset(code.code for code in erp.list_codes(kind) if not code.blocked)

    return ErpSetup(
        time_zone=company.time_zone,
        currencies=codes(CodeKind.CURRENCY) | {company.currency},
        countries=codes(CodeKind.COUNTRY),
        payment_methods=codes(CodeKind.PAYMENT_METHOD),
        shipment_methods=codes(CodeKind.SHIPMENT_METHOD),
        shipping_agents=codes(CodeKind.SHIPPING_AGENT),
        customer_templates=codes(CodeKind.CUSTOMER_TEMPLATE),
        accounts={
            code.code: Account(code.blocked, code.tax_product_group) for code in erp.list_codes(CodeKind.GL_ACCOUNT)
        },
        lengths=erp.capabilities().lengths,
    )


def _link(order: ShopifyOrder, mappings: ShopMappings) -> ErpId | None:
    return mappings.customers.get(order.customer.id) if order.customer is not None else None


def _unique(things: Sequence[Thing]) -> list[Thing]:
    return list(dict.fromkeys(things))


def _chunks(things: Sequence[Thing]) -> Iterator[list[Thing]]:
    rest = iter(things)
    while some := list(islice(rest, ERP_QUERIES_AT_ONCE)):
        yield some
