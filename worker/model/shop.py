"""A shop: one store as Backroom serves it."""

from dataclasses import dataclass

from schemas.shop_settings import ShopSettings


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop without its secrets, which only the shop client and the webhook door read."""

    code: str
    domain: str
    """The myshopify.com domain, lower case."""
    api_url: str
    """Where the Admin API is reached, without a trailing slash; https://<domain> unless set otherwise."""
    enabled: bool
    settings: ShopSettings
