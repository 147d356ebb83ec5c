"""Shops, their settings and their credentials. Every change by a person is audited, secrets left out.

Functions take an open connection and leave committing to its owner.
"""

import difflib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from pydantic import ValidationError

from schemas.shop_settings import ShopSettings
from worker.database import audit
from worker.database.queries import load
from worker.database.secrets import SecretBox
from worker.errors import InvalidInput
from worker.model.shop import Shop

SQL = load("shops")

_CODE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
_DOMAIN: Final = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com")
_PATH: Final = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_SECRET_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,40}")


@dataclass(frozen=True, slots=True)
class ShopCard:
    """A shop as an operator sees it."""

    shop: Shop
    version: int
    """Rises with every change; give it back to `change` to be told of somebody else's change."""
    connected: bool
    """An access token is stored."""
    webhook_secret_ids: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """One of a shop's signing secrets; several are valid while they are changed (platform spec 1.9)."""

    id: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DoorEntry:
    """What the webhook door knows of one shop."""

    shop: str
    enabled: bool
    secrets: tuple[WebhookSecret, ...]
    """Newest first; empty: no webhook of this shop can be verified."""


def add(
    connection: Connection[DictRow],
    code: str,
    domain: str,
    *,
    api_url: str | None = None,
    settings: Mapping[str, Any] | None = None,
    who: str,
) -> Shop:
    """Add a shop; without `api_url` its Admin API is at https://<domain>.

    Raises:
        InvalidInput: code, domain, URL or settings are not acceptable, or the code is taken.
    """
    if not _CODE.fullmatch(code):
        raise InvalidInput(
            "invalid_shop_code",
            f"shop code {code!r}: use 1 to 60 lower-case letters, digits and hyphens, for example my-shop",
        )
    domain = _checked_domain(domain)
    shop = Shop(code, domain, _checked_url(api_url or f"https://{domain}"), True, _settings({}, settings or {}))
    row = connection.execute(
        SQL["add"],
        {"code": code, "domain": domain, "api_url": shop.api_url, "settings": Jsonb(_stored(shop.settings))},
    ).fetchone()
    if row is None:
        raise InvalidInput("shop_exists", f"shop {code!r} exists already: change it with `backroom shops set {code}`")
    audit.record(
        connection,
        who,
        "shop add",
        f"shop/{code}",
        {"domain": domain, "api_url": shop.api_url} | _stored(shop.settings),
    )
    return shop


def change(
    connection: Connection[DictRow],
    code: str,
    patch: Mapping[str, Any] | None = None,
    *,
    domain: str | None = None,
    api_url: str | None = None,
    expected_version: int | None = None,
    who: str,
) -> Shop:
    """Change settings (`patch`, by name), domain or API address; None leaves a thing as it is.

    The settings are checked as one whole. `expected_version` None: whatever others did meanwhile stays.

    Raises:
        InvalidInput: unknown shop, a wrong value, or (`shop_changed`) somebody else changed it meanwhile.
    """
    return _change(
        connection, "shop set", code, patch or {}, domain=domain, api_url=api_url, version=expected_version, who=who
    )


def enable(connection: Connection[DictRow], code: str, *, who: str) -> Shop:
    """Let the shop's jobs run again.

    Raises:
        InvalidInput: unknown shop.
    """
    return _change(connection, "shop enable", code, {}, enabled=True, who=who)


def disable(connection: Connection[DictRow], code: str, *, who: str) -> Shop:
    """Stop serving the shop: its webhooks are answered and forgotten, its jobs wait.

    Raises:
        InvalidInput: unknown shop.
    """
    return _change(connection, "shop disable", code, {}, enabled=False, who=who)


def set_access_token(
    connection: Connection[DictRow], secrets: SecretBox, code: str, token: str | None, *, who: str
) -> None:
    """Store the Admin API's access token; None disconnects the shop.

    Raises:
        InvalidInput: unknown shop, or the token is blank or holds what no HTTP header may.
    """
    find_by_code(connection, code)
    if token is not None and (not token.strip() or not token.isascii() or not token.isprintable()):
        raise InvalidInput("invalid_access_token", "the access token is empty or holds characters no token has")
    connection.execute(
        SQL["save_token"], {"code": code, "access_token": None if token is None else secrets.encrypt(token.strip())}
    )
    audit.record(connection, who, "shop disconnect" if token is None else "shop set access token", f"shop/{code}", {})


def add_webhook_secret(
    connection: Connection[DictRow], secrets: SecretBox, code: str, secret_id: str, secret: str, *, who: str
) -> None:
    """Accept webhooks signed with this secret too; `secret_id` names it in metrics and logs.

    Raises:
        InvalidInput: unknown shop, an id of other characters, or a blank secret.
    """
    find_by_code(connection, code)
    if not _SECRET_ID.fullmatch(secret_id):
        raise InvalidInput("invalid_secret_id", f"secret id {secret_id!r}: use 1 to 40 of letters, digits, . _ -")
    if not secret.strip():
        raise InvalidInput("invalid_webhook_secret", "the webhook secret is empty")
    connection.execute(
        SQL["save_webhook_secret"], {"id": secret_id, "shop": code, "secret": secrets.encrypt(secret.strip())}
    )
    audit.record(connection, who, "shop add webhook secret", f"shop/{code}", {"secret_id": secret_id})


def remove_webhook_secret(connection: Connection[DictRow], code: str, secret_id: str, *, who: str) -> None:
    """Refuse webhooks signed with this secret from now on.

    Raises:
        InvalidInput: unknown shop, or it has no secret of that id.
    """
    card = show(connection, code)
    if connection.execute(SQL["remove_webhook_secret"], {"id": secret_id, "shop": code}).rowcount == 0:
        known = ", ".join(card.webhook_secret_ids) or "none"
        raise InvalidInput("unknown_secret", f"shop {code!r} has no webhook secret {secret_id!r}; it has: {known}")
    audit.record(connection, who, "shop remove webhook secret", f"shop/{code}", {"secret_id": secret_id})


def rotate_secrets(connection: Connection[DictRow], secrets: SecretBox, *, who: str) -> int:
    """Encrypt everything with the newest key; returns how many secrets. The old key may go afterwards."""
    stored = connection.execute(SQL["stored_secrets"]).fetchall()
    for row in stored:
        query = SQL["replace_webhook_secret"] if row["id"] else SQL["replace_token"]
        connection.execute(query, row | {"secret": secrets.rotate(row["secret"])})
    audit.record(connection, who, "shops rotate secrets", "shop/*", {"secrets": len(stored)})
    return len(stored)


def find_by_code(connection: Connection[DictRow], code: str) -> Shop:
    """The shop of that code.

    Raises:
        InvalidInput: there is none; the message lists those that exist.
    """
    row = connection.execute(SQL["by_code"], {"code": code}).fetchone()
    if row is None:
        raise _unknown(connection, code)
    return _shop(row)


def find_by_domain(connection: Connection[DictRow], domain: str) -> tuple[Shop, ...]:
    """All shops on that myshopify.com domain, by code; several may share one store (orders spec 2.3)."""
    rows = connection.execute(SQL["by_domain"], {"domain": domain.strip().lower()}).fetchall()
    return tuple(_shop(row) for row in rows)


def show(connection: Connection[DictRow], code: str) -> ShopCard:
    """One shop with what operators need to know of it.

    Raises:
        InvalidInput: unknown shop.
    """
    row = connection.execute(SQL["cards"], {"code": code}).fetchone()
    if row is None:
        raise _unknown(connection, code)
    return _card(row)


def list_all(connection: Connection[DictRow]) -> tuple[ShopCard, ...]:
    """All shops, by code."""
    return tuple(_card(row) for row in connection.execute(SQL["cards"], {"code": None}).fetchall())


def load_webhook_door_cache(connection: Connection[DictRow], secrets: SecretBox) -> Mapping[str, tuple[DoorEntry, ...]]:
    """Everything the webhook door needs, by domain: it answers from memory (platform spec 1.7.6)."""
    shops: dict[tuple[str, str, bool], list[WebhookSecret]] = defaultdict(list)
    for row in connection.execute(SQL["door"]).fetchall():
        of_shop = shops[row["domain"], row["code"], row["enabled"]]
        if row["secret"] is not None:
            of_shop.append(WebhookSecret(row["id"], secrets.decrypt(row["secret"])))
    door: dict[str, tuple[DoorEntry, ...]] = defaultdict(tuple)
    for (domain, code, enabled), known in shops.items():
        door[domain] += (DoorEntry(code, enabled, tuple(known)),)
    return dict(door)


def _change(
    connection: Connection[DictRow],
    action: str,
    code: str,
    patch: Mapping[str, Any],
    *,
    domain: str | None = None,
    api_url: str | None = None,
    enabled: bool | None = None,
    version: int | None = None,
    who: str,
) -> Shop:
    row = connection.execute(SQL["lock"], {"code": code}).fetchone()
    if row is None:
        raise _unknown(connection, code)
    if version is not None and version != row["version"]:
        raise InvalidInput(
            "shop_changed",
            f"shop {code!r} was changed meanwhile (version {row['version']}, yours was {version}): "
            "look at it again, then repeat the change",
        )
    old = _shop(row)
    new_domain = old.domain if domain is None else _checked_domain(domain)
    if api_url is None and domain is not None and old.api_url == f"https://{old.domain}":
        api_url = f"https://{new_domain}"
    new = Shop(
        code=code,
        domain=new_domain,
        api_url=old.api_url if api_url is None else _checked_url(api_url),
        enabled=old.enabled if enabled is None else enabled,
        settings=_settings(row["settings"], patch),
    )
    changes = dict(_differences(old, new))
    if changes:
        connection.execute(
            SQL["save"],
            {
                "code": code,
                "domain": new.domain,
                "api_url": new.api_url,
                "enabled": new.enabled,
                "settings": Jsonb(_stored(new.settings)),
            },
        )
        audit.record(connection, who, action, f"shop/{code}", changes)
    return new


def _differences(old: Shop, new: Shop) -> Iterator[tuple[str, dict[str, Any]]]:
    before = {"domain": old.domain, "api_url": old.api_url, "enabled": old.enabled}
    after = {"domain": new.domain, "api_url": new.api_url, "enabled": new.enabled}
    before |= old.settings.model_dump(mode="json")
    after |= new.settings.model_dump(mode="json")
    for name, value in after.items():
        if before[name] != value:
            yield name, {"old": before[name], "new": value}


def _settings(stored: Mapping[str, Any], patch: Mapping[str, Any]) -> ShopSettings:
    """The stored settings with the patch on top, checked as one document."""
    for name in patch:
        if name not in ShopSettings.model_fields:
            near = difflib.get_close_matches(name, ShopSettings.model_fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"settings: {', '.join(sorted(ShopSettings.model_fields))}"
            raise InvalidInput("unknown_setting", f"no setting is called {name!r}; {hint}")
    try:
        return ShopSettings.model_validate({**stored, **patch})
    except ValidationError as error:
        raise InvalidInput("invalid_setting", _explain(error)) from None


def _explain(error: ValidationError) -> str:
    sentences = []
    for problem in error.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in problem["loc"])
        reason = problem["msg"].removeprefix("Value error, ")
        sentences.append(f"{where} (is {problem['input']!r}): {reason}" if where else reason)
    return "; ".join(sentences)


def _stored(settings: ShopSettings) -> dict[str, Any]:
    """Only what somebody chose is stored; the rest follows the defaults."""
    return settings.model_dump(mode="json", exclude_unset=True)


def _checked_domain(domain: str) -> str:
    lowered = domain.strip().lower()
    if not _DOMAIN.fullmatch(lowered):
        raise InvalidInput(
            "invalid_domain", f"domain {domain!r}: give the store's own domain, for example my-shop.myshopify.com"
        )
    return lowered


def _checked_url(url: str) -> str:
    """An address that the access token may be sent to: encrypted, or on this machine or its private network."""
    cleaned = url.strip().rstrip("/")
    try:
        parts = urlsplit(cleaned)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_fine = urlsplit(""), False
    plain = _PATH.fullmatch(parts.path) and not (parts.query or parts.fragment or parts.username or parts.password)
    if not (parts.scheme in ("http", "https") and parts.hostname and plain and port_is_fine):
        raise InvalidInput(
            "invalid_api_url",
            f"api_url {url!r}: give scheme, host and path only, for example https://my-shop.myshopify.com",
        )
    if parts.scheme == "http" and not _is_near(parts.hostname):
        raise InvalidInput("insecure_api_url", f"api_url {url!r} would send the access token in the clear: use https")
    return cleaned


def _is_near(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal"))
    return address.is_loopback or address.is_private


def _shop(row: Mapping[str, Any]) -> Shop:
    return Shop(
        row["code"], row["domain"], row["api_url"], row["enabled"], ShopSettings.model_validate(row["settings"])
    )


def _card(row: Mapping[str, Any]) -> ShopCard:
    return ShopCard(
        shop=_shop(row),
        version=row["version"],
        connected=row["connected"],
        webhook_secret_ids=tuple(row["webhook_secret_ids"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _unknown(connection: Connection[DictRow], code: str) -> InvalidInput:
    known: Sequence[str] = [row["code"] for row in connection.execute(SQL["codes"]).fetchall()]
    if not known:
        return InvalidInput("unknown_shop", f"there is no shop {code!r}, nor any other yet: `backroom shops add`")
    near = difflib.get_close_matches(code, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return InvalidInput(
        "unknown_shop",
        f"there is no shop {code!r}; {hint}known shops: {', '.join(known[:20])}; add one with `backroom shops add`",
    )
