"""Report 30103: imported orders become sales documents of the ERP (orders spec 4, 5 and 8).

Per batch: read and decide (`sales_order_planning`), then apply order by order, in three steps that may each be
the last thing a dying worker does:

    (a) fenced transaction: the order still is what was planned; an intent row says that the ERP will be asked
    (b) the ERP: the customer if it is new, then the document, under a key that never makes a second one
    (c) fenced transaction: link, customer, processed, cursor and counters

Whoever finds an intent without a link looks for the document by its key before doing anything else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.parameters import CreateSalesOrders
from worker.database import mappings, orders
from worker.database.mappings import Intent
from worker.erp.port import ErpPort
from worker.errors import Bug, NeedsAttention, Rejected, RetryLater, Scope
from worker.model.customer import Customer, CustomerQuery
from worker.model.ids import ErpId, Gid, numeric_id
from worker.model.sales_document import Document, DocumentLine, LineKind
from worker.report import (
    BATCH_SIZE,
    Batch,
    Completed,
    Counters,
    FieldChange,
    Issue,
    Outcome,
    PlanAction,
    PlanEntry,
    Run,
    SliceDone,
    Stop,
)
from worker.reports.sales_order_planning import (
    Adopt,
    BatchPlan,
    Create,
    Decision,
    Leave,
    Parties,
    Planner,
    Refuse,
)
from worker.rules.customer_match import FoundCustomer, NewCustomer
from worker.rules.sales_order import PURPOSE, amount_text

CURSOR = "after_order"
"""Gid of the last order that was dealt with."""
MOST_PLANS = 3
"""How often an order is planned anew when it keeps changing, before the job tries later."""


def run(run: Run, erp: ErpPort) -> Outcome:
    """Work on the job's orders, or on all that are unprocessed and match its filters, by Shopify id.

    A refused order keeps its reasons and never blocks the others. In a dry run nothing but the plan is written,
    and the counters say what would have been done.
    """
    _check_capabilities(run, erp)
    maker = _Maker(run, erp)
    after = run.cursor.get(CURSOR)
    while order_ids := _next_orders(run, after):
        stop = maker.work_on(order_ids, checkpoints=True)
        if stop is not None:
            return SliceDone(stop)
        after = order_ids[-1]
    return Completed()


def document_maker(run: Run, erp: ErpPort) -> Callable[[Sequence[Gid]], Counters]:
    """`create_documents` for many calls inside one slice: the ERP's code tables are read at the first."""
    makers: list[_Maker] = []

    def make(order_ids: Sequence[Gid]) -> Counters:
        if not order_ids:
            return Counters()
        if not makers:
            _check_capabilities(run, erp)
            makers.append(_Maker(run, erp))
        maker = makers[0]
        maker.counted = Counters()
        ids = sorted(set(order_ids), key=numeric_id)
        for start in range(0, len(ids), BATCH_SIZE):
            maker.work_on(ids[start : start + BATCH_SIZE], checkpoints=False)
        return maker.counted

    return make


def create_documents(run: Run, erp: ErpPort, order_ids: Sequence[Gid]) -> Counters:
    """Make the documents of these orders inside another report's slice (30104's automatic creation).

    Leaves cursor and counters of the job alone: what was done is the answer. Orders that are processed, or that
    are not imported, are skipped.
    """
    return document_maker(run, erp)(order_ids)


def _check_capabilities(run: Run, erp: ErpPort) -> None:
    if run.shop.settings.use_shopify_order_no and not erp.capabilities().document_number_choice:
        raise NeedsAttention(
            "unsupported",
            f"this ERP numbers its documents itself: `backroom shops set {run.shop.code} use_shopify_order_no=false`",
            Scope.SHOP,
        )


def _next_orders(run: Run, after: Gid | None) -> Sequence[Gid]:
    if run.job.entities:
        ids = sorted({Gid(entity) for entity in run.job.entities}, key=numeric_id)
        return [gid for gid in ids if after is None or numeric_id(gid) > numeric_id(after)][:BATCH_SIZE]
    parameters = run.job.parameters
    if not isinstance(parameters, CreateSalesOrders):
        raise Bug("wrong_parameters", f"create_sales_orders got {type(parameters).__name__}")
    with run.read() as connection:
        return orders.unprocessed_orders(connection, run.shop.code, parameters, after_id=after, limit=BATCH_SIZE)


@dataclass(frozen=True, slots=True)
class _Made:
    """What step (b) came to."""

    document: Document
    new_customer: Customer | None = None


@dataclass(slots=True)
class _CreatedCustomers:
    """Customers created in this run, so that two orders of one buyer create one."""

    _by: dict[str | CustomerQuery, Customer] = field(default_factory=dict)

    def get(self, new: NewCustomer) -> Customer | None:
        return next((self._by[name] for name in (new.key, *new.queries) if name in self._by), None)

    def add(self, new: NewCustomer, customer: Customer) -> None:
        self._by.update(dict.fromkeys((new.key, *new.queries), customer))


class _Maker:
    """Plans and applies batches of one run."""

    def __init__(self, run: Run, erp: ErpPort) -> None:
        self.counted = Counters()
        """What was done; whoever reads it sets it back."""
        self._run = run
        self._erp = erp
        self._shop = run.shop
        self._planner = Planner(run, erp)
        self._created = _CreatedCustomers()

    def work_on(self, order_ids: Sequence[Gid], *, checkpoints: bool) -> Stop | None:
        """Plan these orders and apply the plan. With checkpoints each order moves the job's cursor and counters,
        and the answer is why the job must stop; without, all are worked on."""
        plan = self._planner.plan(order_ids)
        if self._run.job.dry_run:
            self._record(plan, checkpoints)
            return self._run.stop_requested() if checkpoints else None
        with self._run.write() as batch:
            mappings.remember(batch.connection, self._shop.code, plan.orders, plan.mappings, plan.countries)
        for order_id, decision in zip(order_ids, plan.decisions, strict=True):
            self._apply(order_id, decision, checkpoints)
            if checkpoints and (stop := self._run.stop_requested()) is not None:
                return stop
        return None

    def _record(self, plan: BatchPlan, checkpoints: bool) -> None:
        with self._run.write() as batch:
            batch.record_plan([plan_entry(decision) for decision in plan.decisions])
            for decision in plan.decisions:
                self._count(batch, _order_id(decision), _counted(decision), checkpoints)

    def _apply(self, order_id: Gid, decision: Decision, checkpoints: bool) -> None:
        for _ in range(MOST_PLANS):
            if self._applied(decision, checkpoints):
                return
            (decision,) = self._planner.plan([order_id]).decisions
        raise RetryLater("order_keeps_changing", f"{order_id} changed each time its document was about to be made")

    def _applied(self, decision: Decision, checkpoints: bool) -> bool:
        """False: the order changed since it was planned, and nothing was done."""
        match decision:
            case Create():
                return self._create(decision, checkpoints)
            case Adopt():
                self._link(decision.order.id, decision, _Made(decision.document), checkpoints)
            case Refuse():
                self._refuse(decision, checkpoints, withdraw=False)
            case Leave():
                with self._run.write() as batch:
                    self._count(batch, decision.order_id, _counted(decision), checkpoints)
        return True

    def _create(self, decision: Create, checkpoints: bool) -> bool:
        order, key = decision.order, decision.sale.key
        with self._run.write() as batch:  # (a)
            orders.lock_order(batch.connection, self._shop.code, order.id)
            intent = mappings.intend(batch.connection, self._shop.code, order, PURPOSE, key)
            if intent is Intent.PROCESSED:
                self._count(batch, order.id, Counters(read=1, skipped=1), checkpoints)
        if intent is Intent.PROCESSED:
            return True
        if intent is Intent.ORDER_CHANGED:
            return False
        made = self._made(decision, look_first=intent is Intent.REPEATED)  # (b)
        if isinstance(made, Refuse):
            self._refuse(made, checkpoints, withdraw=True)
        else:
            self._link(order.id, decision, made, checkpoints)  # (c)
        return True

    def _made(self, decision: Create, *, look_first: bool) -> _Made | Refuse:
        """Ask the ERP: for what it may have made before, then for the customer and the document."""
        order, key = decision.order, decision.sale.key
        if look_first and (document := self._erp.find_document(key)) is not None:
            return _Made(document)
        try:
            return self._asked(decision)
        except Rejected as error:
            return Refuse(order, (), Issue(error.code, error.message, entity="erp", value=error.field or ""))

    def _asked(self, decision: Create) -> _Made | Refuse:
        if decision.draft is not None:
            return _Made(self._erp.create_document(decision.draft))
        if not isinstance(decision.customer, NewCustomer):
            raise Bug("draft_missing", f"{decision.order.name} was planned without a draft")
        customer = self._customer(decision.customer)
        if isinstance(customer, Issue):
            return Refuse(decision.order, (customer,))
        rates = self._planner.vat_rates.of(customer, decision.sale.tax_product_groups)
        draft = self._planner.draft(decision.sale, Parties(customer, customer), rates)
        if isinstance(draft, tuple):
            return Refuse(decision.order, draft)
        return _Made(self._erp.create_document(draft), customer)

    def _customer(self, new: NewCustomer) -> Customer | Issue:
        known = self._created.get(new)
        if known is not None:
            return known
        try:
            customer = self._erp.create_customer(new.draft, new.key)
        except Bug as error:
            if error.code != "key_reuse":
                raise
            # Created before under other data, and not found by e-mail or phone any more: people must decide.
            return Issue(
                "customer_created_before",
                f"a customer was created for this buyer before ({new.key}) and carries other data now: "
                "give that customer the buyer's e-mail or phone in the ERP",
                entity="customer",
                value=new.draft.address.name,
            )
        self._created.add(new, customer)
        return customer

    def _link(self, order_id: Gid, decision: Create | Adopt, made: _Made, checkpoints: bool) -> None:
        with self._run.write() as batch:
            connection, shop = batch.connection, self._shop
            orders.lock_order(connection, shop.code, order_id)
            mappings.complete(connection, shop.code, order_id, PURPOSE, made.document)
            self._link_customer(batch, decision, made)
            done = orders.mark_processed(
                connection, shop.code, decision.order, made.document, shop.settings.currency_handling
            )
            counted = Counters(read=1, created=1) if done else Counters(read=1, skipped=1)
            self._count(batch, order_id, counted, checkpoints)

    def _link_customer(self, batch: Batch, decision: Create | Adopt, made: _Made) -> None:
        buyer = decision.order.customer
        if buyer is None or isinstance(decision, Adopt):
            return
        erp_id: ErpId | None = made.new_customer.erp_id if made.new_customer is not None else None
        if isinstance(decision.customer, FoundCustomer) and decision.customer.worth_linking:
            erp_id = decision.customer.customer.erp_id
        if erp_id is not None:
            mappings.link_customer(batch.connection, self._shop.code, buyer.id, erp_id, instead_of=decision.linked)

    def _refuse(self, refusal: Refuse, checkpoints: bool, *, withdraw: bool) -> None:
        order_id = refusal.order.id
        with self._run.write() as batch:
            if withdraw:
                mappings.withdraw(batch.connection, self._shop.code, order_id, PURPOSE)
            orders.record_issues(batch.connection, self._shop.code, order_id, refusal.issues, error=refusal.error)
            self._count(batch, order_id, _counted(refusal), checkpoints)

    def _count(self, batch: Batch, order_id: Gid, counted: Counters, checkpoints: bool) -> None:
        self.counted = self.counted + counted
        if checkpoints:
            batch.checkpoint({CURSOR: order_id}, counted)


def plan_entry(decision: Decision) -> PlanEntry:
    """What a dry run shows of a decision."""
    match decision:
        case Create():
            return PlanEntry(
                decision.order.id,
                decision.order.name,
                f"sales {decision.sale.header.type}",
                PlanAction.CREATE,
                changes=tuple(FieldChange(name, None, value) for name, value in _facts(decision).items()),
            )
        case Adopt():
            link = FieldChange("document", None, f"{decision.document.type} {decision.document.number}")
            return PlanEntry(decision.order.id, decision.order.name, "order", PlanAction.CHANGE, changes=(link,))
        case Refuse():
            reason = "; ".join(f"{issue.code}: {issue.message}" for issue in decision.reasons)
            return PlanEntry(decision.order.id, decision.order.name, "sales document", PlanAction.REFUSE, reason=reason)
        case Leave():
            return PlanEntry(
                decision.order_id, decision.label, "sales document", PlanAction.SKIP, reason=decision.reason
            )


def _facts(create: Create) -> Mapping[str, str]:
    """The planned document in a few lines of text."""
    sale, customer = create.sale, create.customer
    lines = create.draft.lines if create.draft is not None else tuple(planned.line for planned in sale.lines)
    facts = {
        "document_type": sale.header.type.value,
        "customer": customer.customer.number
        if isinstance(customer, FoundCustomer)
        else f"new, {customer.draft.address.name} (template {customer.draft.template})",
        "document_date": sale.header.document_date.isoformat(),
        "total_incl_vat": f"{amount_text(sale.expected_total, sale.header.currency)} {sale.header.currency}",
    }
    return facts | {f"line {line.line_no}": _line_text(line, sale.header.currency) for line in lines}


def _line_text(line: DocumentLine, currency: str) -> str:
    """`item SHIRT-1, 2 × 10.00 - 1.00: Shirt`."""
    if line.kind is LineKind.COMMENT:
        return f"comment: {line.description}"
    amount = f"{line.quantity:f} × {amount_text(line.unit_price, currency)}"
    if line.line_discount_amount:
        amount += f" - {amount_text(line.line_discount_amount, currency)}"
    return f"{line.kind} {line.number}, {amount}: {line.description}"


def _counted(decision: Decision) -> Counters:
    match decision:
        case Create() | Adopt():
            return Counters(read=1, created=1)
        case Refuse():
            return Counters(read=1, failed=1)
        case Leave():
            return Counters(read=1, skipped=1)


def _order_id(decision: Decision) -> Gid:
    return decision.order_id if isinstance(decision, Leave) else decision.order.id
