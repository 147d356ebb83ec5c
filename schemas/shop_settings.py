"""A shop's settings: one document with types, defaults and the rules between them (shop spec 1, orders spec 1).

Only the settings that something reads stand here.
"""

from enum import StrEnum
from typing import Annotated, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator


class CurrencyHandling(StrEnum):
    """In which of an order's two currencies the sales document is made."""

    SHOP_CURRENCY = "shop_currency"
    PRESENTMENT_CURRENCY = "presentment_currency"


class CustomerMapping(StrEnum):
    """How the customer of an order is found in the ERP (orders spec 4.2)."""

    BY_EMAIL_PHONE = "by_email_phone"
    DEFAULT_CUSTOMER = "default_customer"


class CustomerImport(StrEnum):
    """Whether orders may bring customers along."""

    NONE = "none"
    WITH_ORDER_IMPORT = "with_order_import"


class NameSource(StrEnum):
    """Where a name line of the ERP comes from (orders spec 4.1)."""

    COMPANY_NAME = "company_name"
    FIRST_LAST = "first_last"
    LAST_FIRST = "last_first"
    NONE = "none"


class CountySource(StrEnum):
    """Whether a county is the province's code or its name."""

    CODE = "code"
    NAME = "name"


def _zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("an IANA time zone is expected, for example Europe/Rome")
    return value


Code20 = Annotated[str, StringConstraints(strip_whitespace=True, max_length=20)]
TimeZone = Annotated[str, AfterValidator(_zone)]


class ShopSettings(BaseModel):
    """Everything an operator may set on a shop. Empty text means: not set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow_background_syncs: bool = Field(
        default=True, description="False: what people start in console and command line runs while they wait."
    )
    currency_code: Annotated[str, StringConstraints(pattern=r"^([A-Z]{3})?$")] = Field(
        default="", description="ISO code the shop's orders must have; empty: the order's own currency."
    )
    currency_handling: CurrencyHandling = CurrencyHandling.SHOP_CURRENCY

    auto_create_orders: bool = Field(default=False, description="30104 creates the document right after importing.")
    auto_release_sales_orders: bool = True
    create_invoices_from_orders: bool = Field(
        default=True, description="A fully fulfilled order becomes an invoice instead of an order."
    )
    use_shopify_order_no: bool = Field(default=False, description="The document takes the order's name as its number.")
    shopify_order_no_on_doc_line: bool = Field(
        default=False, description="First line: a comment with the order's name."
    )

    shipping_charges_account: Code20 = ""
    tip_account: Code20 = ""
    cash_roundings_account: Code20 = ""

    customer_import_from_shopify: CustomerImport = CustomerImport.WITH_ORDER_IMPORT
    customer_mapping_type: CustomerMapping = CustomerMapping.BY_EMAIL_PHONE
    auto_create_unknown_customers: bool = False
    default_customer_no: Code20 = ""
    customer_template_code: Code20 = ""
    name_source: NameSource = NameSource.COMPANY_NAME
    name_2_source: NameSource = NameSource.FIRST_LAST
    contact_source: NameSource = NameSource.FIRST_LAST
    county_source: CountySource = CountySource.CODE

    find_mapping_by_barcode: bool = Field(default=True, description="Items are found by barcode when the SKU fails.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.customer_mapping_type is CustomerMapping.DEFAULT_CUSTOMER and not self.default_customer_no:
            raise ValueError(
                "customer_mapping_type=default_customer needs default_customer_no: "
                "set the customer, or map by_email_phone"
            )
        if self.contact_source is NameSource.COMPANY_NAME:
            raise ValueError("contact_source cannot be company_name: choose first_last, last_first or none")
        return self
