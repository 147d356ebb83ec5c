"""The table of built reports: what runs when a job names one (checked against the catalogue by a test)."""

from collections.abc import Callable, Mapping

from schemas.catalogue import ReportName
from worker.erp.port import ErpPort
from worker.report import ReportFunction, Run
from worker.reports import create_sales_orders, sync_orders
from worker.shopify.orders import OrdersApi


def build(orders_api_for: Callable[[Run], OrdersApi], erp: ErpPort) -> Mapping[ReportName, ReportFunction]:
    """Every report with its ports bound in. `orders_api_for` gives the orders of the shop that a slice is about."""
    return {
        ReportName.SYNC_ORDERS: lambda run: sync_orders.run(
            run, orders_api_for(run), create_sales_orders.document_maker(run, erp)
        ),
        ReportName.CREATE_SALES_ORDERS: lambda run: create_sales_orders.run(run, erp),
    }
