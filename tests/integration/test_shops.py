"""Shops in a real database: settings as one document, credentials at rest, every change on record."""

from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from psycopg import Connection
from psycopg.rows import DictRow

from worker.database import shops
from worker.database.pool import Database
from worker.database.secrets import SecretBox
from worker.database.shops import DoorEntry, WebhookSecret
from worker.errors import InvalidInput

KEY = Fernet.generate_key().decode()
SECRETS = SecretBox([KEY])


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection[DictRow]]:
    with Database(database_url, application_name="test") as database, database.transaction() as opened:
        yield opened


def added(connection: Connection[DictRow], code: str = "my-shop", **arguments: Any) -> None:
    shops.add(connection, code, f"{code}.myshopify.com", who="tester", **arguments)


def audit_of(connection: Connection[DictRow], code: str) -> list[tuple[str, str, dict[str, Any]]]:
    rows = connection.execute(
        "SELECT who, action, change FROM backroom.audit WHERE entity = %s ORDER BY id", (f"shop/{code}",)
    ).fetchall()
    return [(row["who"], row["action"], row["change"]) for row in rows]


def test_a_new_shop_is_found_by_code_and_by_domain(connection: Connection[DictRow]) -> None:
    added(connection, settings={"auto_create_orders": "true", "tip_account": "6800"})

    shop = shops.find_by_code(connection, "my-shop")

    assert (shop.domain, shop.api_url, shop.enabled) == (
        "my-shop.myshopify.com", "https://my-shop.myshopify.com", True
    )  # fmt: skip
    assert shop.settings.auto_create_orders is True
    assert shops.find_by_domain(connection, "MY-SHOP.myshopify.com ") == (shop,)
    assert shops.find_by_domain(connection, "other.myshopify.com") == ()


def test_two_shops_may_share_one_store(connection: Connection[DictRow]) -> None:
    added(connection)
    shops.add(connection, "wholesale", "my-shop.myshopify.com", who="tester")

    found = shops.find_by_domain(connection, "my-shop.myshopify.com")

    assert [shop.code for shop in found] == ["my-shop", "wholesale"]


@pytest.mark.parametrize(
    ("code", "domain", "arguments", "error"),
    [
        ("My Shop", "a.myshopify.com", {}, "invalid_shop_code"),
        ("a", "a.example", {}, "invalid_domain"),
        ("a", "a.myshopify.com.evil.example", {}, "invalid_domain"),
        ("a", "a.myshopify.com", {"api_url": "ftp://a"}, "invalid_api_url"),
        ("a", "a.myshopify.com", {"api_url": "https://u:p@a.example"}, "invalid_api_url"),
        ("a", "a.myshopify.com", {"api_url": "https://a.example/x?y"}, "invalid_api_url"),
        ("a", "a.myshopify.com", {"api_url": "https://a.example/../b"}, "invalid_api_url"),
        ("a", "a.myshopify.com", {"api_url": "http://a.example:x"}, "invalid_api_url"),
        ("a", "a.myshopify.com", {"api_url": "http://a.example"}, "insecure_api_url"),
        ("a", "a.myshopify.com", {"settings": {"tip_acount": "1"}}, "unknown_setting"),
        ("a", "a.myshopify.com", {"settings": {"currency_code": "euro"}}, "invalid_setting"),
    ],
)
def test_what_cannot_be_a_shop_is_refused(
    connection: Connection[DictRow], code: str, domain: str, arguments: dict[str, Any], error: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        shops.add(connection, code, domain, who="tester", **arguments)

    assert caught.value.code == error
    assert shops.list_all(connection) == ()


@pytest.mark.parametrize("url", ["http://127.0.0.1:8500", "http://shop:8500/my-shop/", "https://proxy.example"])
def test_the_admin_api_may_be_somewhere_else(connection: Connection[DictRow], url: str) -> None:
    added(connection, api_url=url)

    assert shops.find_by_code(connection, "my-shop").api_url == url.rstrip("/")


def test_a_code_is_given_once(connection: Connection[DictRow]) -> None:
    added(connection)

    with pytest.raises(InvalidInput, match="`backroom shops set my-shop`"):
        added(connection)


def test_an_unknown_shop_lists_the_known_ones(connection: Connection[DictRow]) -> None:
    with pytest.raises(InvalidInput, match="`backroom shops add`"):
        shops.find_by_code(connection, "my-shp")

    added(connection)

    with pytest.raises(InvalidInput, match=r"did you mean my-shop\? known shops: my-shop") as error:
        shops.find_by_code(connection, "my-shp")
    assert error.value.code == "unknown_shop"


def test_a_change_touches_only_what_it_names_and_is_on_record(connection: Connection[DictRow]) -> None:
    added(connection, settings={"tip_account": "6800"})

    shop = shops.change(connection, "my-shop", {"auto_create_orders": True}, who="ada")

    assert (shop.settings.tip_account, shop.settings.auto_create_orders) == ("6800", True)
    assert shops.find_by_code(connection, "my-shop") == shop
    assert audit_of(connection, "my-shop")[-1] == (
        "ada", "shop set", {"auto_create_orders": {"old": False, "new": True}}
    )  # fmt: skip


def test_settings_are_checked_as_one_document_and_a_wrong_change_changes_nothing(
    connection: Connection[DictRow],
) -> None:
    added(connection)

    with pytest.raises(InvalidInput, match="needs default_customer_no"):
        shops.change(connection, "my-shop", {"customer_mapping_type": "default_customer"}, who="ada")

    assert shops.show(connection, "my-shop").version == 1
    shops.change(
        connection,
        "my-shop",
        {"customer_mapping_type": "default_customer", "default_customer_no": "C1"},
        who="ada",
    )


def test_a_misspelt_setting_gets_a_hint(connection: Connection[DictRow]) -> None:
    added(connection)

    with pytest.raises(InvalidInput, match="did you mean tip_account"):
        shops.change(connection, "my-shop", {"tip_acount": "1"}, who="ada")


def test_somebody_elses_change_in_between_is_noticed(connection: Connection[DictRow]) -> None:
    added(connection)
    seen = shops.show(connection, "my-shop").version
    shops.change(connection, "my-shop", {"tip_account": "1"}, who="ada")

    with pytest.raises(InvalidInput) as error:
        shops.change(connection, "my-shop", {"tip_account": "2"}, expected_version=seen, who="bob")

    assert error.value.code == "shop_changed"
    assert shops.find_by_code(connection, "my-shop").settings.tip_account == "1"


def test_a_change_that_changes_nothing_leaves_no_trace(connection: Connection[DictRow]) -> None:
    added(connection)

    shops.change(connection, "my-shop", {"auto_create_orders": False}, who="ada")

    assert shops.show(connection, "my-shop").version == 1
    assert len(audit_of(connection, "my-shop")) == 1


def test_a_new_domain_takes_the_api_address_along(connection: Connection[DictRow]) -> None:
    added(connection)

    shop = shops.change(connection, "my-shop", domain="new.myshopify.com", who="ada")

    assert shop.api_url == "https://new.myshopify.com"


def test_a_shop_is_switched_off_and_on(connection: Connection[DictRow]) -> None:
    added(connection)

    assert shops.disable(connection, "my-shop", who="ada").enabled is False
    assert shops.enable(connection, "my-shop", who="ada").enabled is True
    assert [action for _, action, _ in audit_of(connection, "my-shop")] == ["shop add", "shop disable", "shop enable"]


def test_credentials_are_stored_encrypted_and_never_audited(connection: Connection[DictRow]) -> None:
    added(connection)

    shops.set_access_token(connection, SECRETS, "my-shop", "shpat_1", who="ada")
    shops.add_webhook_secret(connection, SECRETS, "my-shop", "2026", "whsec_1", who="ada")

    card = shops.show(connection, "my-shop")
    assert (card.connected, card.webhook_secret_ids) == (True, ("2026",))
    row = connection.execute("SELECT access_token FROM backroom.shop").fetchall()[0]
    assert SECRETS.decrypt(row["access_token"]) == "shpat_1"
    assert "shpat_1" not in str(audit_of(connection, "my-shop"))
    assert "whsec_1" not in str(audit_of(connection, "my-shop"))


def test_a_shop_is_disconnected_by_taking_its_token_away(connection: Connection[DictRow]) -> None:
    added(connection)
    shops.set_access_token(connection, SECRETS, "my-shop", "shpat_1", who="ada")

    shops.set_access_token(connection, SECRETS, "my-shop", None, who="ada")

    assert shops.show(connection, "my-shop").connected is False


@pytest.mark.parametrize("token", ["", "  ", "a\nb", "tökén"])
def test_a_token_that_no_header_may_carry_is_refused(connection: Connection[DictRow], token: str) -> None:
    added(connection)

    with pytest.raises(InvalidInput, match="access token"):
        shops.set_access_token(connection, SECRETS, "my-shop", token, who="ada")


def test_the_webhook_door_knows_every_shop_with_its_secrets_newest_first(connection: Connection[DictRow]) -> None:
    added(connection)
    shops.add(connection, "wholesale", "my-shop.myshopify.com", who="tester")
    shops.disable(connection, "wholesale", who="tester")
    shops.add_webhook_secret(connection, SECRETS, "my-shop", "old", "s1", who="ada")
    shops.add_webhook_secret(connection, SECRETS, "my-shop", "new", "s2", who="ada")

    door = shops.load_webhook_door_cache(connection, SECRETS)

    assert door == {
        "my-shop.myshopify.com": (
            DoorEntry("my-shop", True, (WebhookSecret("new", "s2"), WebhookSecret("old", "s1"))),
            DoorEntry("wholesale", False, ()),
        )
    }
    assert "s2" not in repr(door)


def test_a_webhook_secret_is_removed_by_its_name(connection: Connection[DictRow]) -> None:
    added(connection)
    shops.add_webhook_secret(connection, SECRETS, "my-shop", "old", "s1", who="ada")

    with pytest.raises(InvalidInput, match="it has: old"):
        shops.remove_webhook_secret(connection, "my-shop", "older", who="ada")
    shops.remove_webhook_secret(connection, "my-shop", "old", who="ada")

    assert shops.show(connection, "my-shop").webhook_secret_ids == ()


def test_after_a_change_of_keys_the_old_key_is_no_longer_needed(connection: Connection[DictRow]) -> None:
    added(connection)
    shops.set_access_token(connection, SECRETS, "my-shop", "shpat_1", who="ada")
    shops.add_webhook_secret(connection, SECRETS, "my-shop", "2026", "whsec_1", who="ada")
    new_key = Fernet.generate_key().decode()

    assert shops.rotate_secrets(connection, SecretBox([new_key, KEY]), who="ada") == 2

    door = shops.load_webhook_door_cache(connection, SecretBox([new_key]))
    assert door["my-shop.myshopify.com"][0].secrets[0].value == "whsec_1"
