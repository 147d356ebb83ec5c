"""Names for ids, so that one kind is not taken for another."""

from typing import NewType

Gid = NewType("Gid", str)
"""A Shopify id in full: gid://shopify/Order/123."""

ErpId = NewType("ErpId", str)
"""The ERP's own, unchanging id of a record; opaque."""


def numeric_id(gid: str) -> int:
    """The number at the end of a gid; a query part is ignored.

    >>> numeric_id("gid://shopify/InventoryLevel/24826418?inventory_item_id=27187")
    24826418
    """
    return int(gid.split("?", 1)[0].rsplit("/", 1)[1])
