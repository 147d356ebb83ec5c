"""One parameter model per report: what a request may say beyond the shop (orders spec 2.3 and 8)."""

import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from schemas.conditions import AmountCondition, FlagCondition, NumberCondition, TextCondition, TimeCondition

_ORDER_GID = re.compile(r"gid://shopify/Order/([1-9][0-9]{0,18})")


def _order_gid(value: str) -> str:
    """Accept a gid or the bare number of an order; the gid is kept."""
    if value.isascii() and value.isdigit() and not value.startswith("0") and len(value) <= 19:
        return f"gid://shopify/Order/{value}"
    if _ORDER_GID.fullmatch(value):
        return value
    raise ValueError("an order id is a number or gid://shopify/Order/<number>")


OrderId = Annotated[str, AfterValidator(_order_gid)]


class Parameters(BaseModel):
    """Base of all parameter models: unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    ENTITY_FIELD: ClassVar[str | None] = None
    """The field that holds the ids a request is about; None: the report knows no ids."""

    def entities(self) -> tuple[str, ...] | None:
        """The ids the request is about; None means whatever changed."""
        return None if self.ENTITY_FIELD is None else getattr(self, self.ENTITY_FIELD)

    def without_entities(self) -> dict[str, object]:
        """The rest of the parameters as JSON; two requests that agree here may share a job (design D9)."""
        left_out = set() if self.ENTITY_FIELD is None else {self.ENTITY_FIELD}
        return self.model_dump(mode="json", exclude=left_out, exclude_none=True, by_alias=True)


class OrderParameters(Parameters):
    """Parameters of the reports that work on orders."""

    ENTITY_FIELD = "order_ids"

    order_ids: tuple[OrderId, ...] | None = Field(
        default=None,
        min_length=1,
        description="Work on these orders only (gids or numbers). Absent: every order that changed or waits.",
    )


class SyncOrders(OrderParameters):
    """30104: which staged orders to import. Conditions are AND-ed; they act on the staged row."""

    fully_paid: FlagCondition | None = None
    unpaid: FlagCondition | None = None
    financial_status: TextCondition | None = None
    fulfillment_status: TextCondition | None = None
    confirmed: FlagCondition | None = None
    test: FlagCondition | None = None
    import_action: TextCondition | None = Field(default=None, description="new or update")
    attribute_key_filter: str | None = Field(
        default=None, description="Only orders that have an attribute with this key (see attribute_key_exists)."
    )
    attribute_key_exists: bool = Field(default=True, description="False: only orders that lack the attribute.")
    channel_name: TextCondition | None = None
    channel_liable_taxes: FlagCondition | None = None
    order_no: TextCondition | None = None
    high_risk: FlagCondition | None = None
    sell_to_country: TextCondition | None = None
    ship_to_country: TextCondition | None = None
    bill_to_country: TextCondition | None = None
    vat_amount: AmountCondition | None = None
    order_amount: AmountCondition | None = None
    currency_code: TextCondition | None = None
    total_quantity: NumberCondition | None = None
    purchasing_entity: TextCondition | None = Field(default=None, description="customer or company")
    tags: TextCondition | None = Field(default=None, description="Matches when any tag matches.")
    created_at: TimeCondition | None = None
    updated_at: TimeCondition | None = None


class CreateSalesOrders(OrderParameters):
    """30103: which imported, unprocessed orders become sales documents. Conditions are AND-ed."""

    financial_status: TextCondition | None = None
    fulfillment_status: TextCondition | None = None
    fully_paid: FlagCondition | None = None
    order_no: TextCondition | None = None
    channel_name: TextCondition | None = None
    high_risk: FlagCondition | None = None
    created_at: TimeCondition | None = None
