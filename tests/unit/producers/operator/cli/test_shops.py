"""Settings and credentials of shops as the command line takes and shows them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from producers.operator.cli.shops import (
    describe_settings,
    parse_settings,
    read_credentials,
    settings_with_history,
    split_id,
)
from schemas.shop_settings import ShopSettings
from worker.database.audit import AuditEntry
from worker.errors import InvalidInput

Given = tuple[str | None, str | None, str | None, list[str] | None, list[str] | None, list[str] | None]

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("2026=hush", ("2026", "hush")),
        ("hush", ("main", "hush")),
        ("aGVsbG8=", ("main", "aGVsbG8=")),
        ("aGVsbA==", ("main", "aGVsbA==")),
        ("2026=aGVsbA==", ("2026", "aGVsbA==")),
    ],
)
def test_an_id_before_a_secret_is_told_from_the_padding_of_base64(text: str, split: tuple[str, str]) -> None:
    assert split_id(text) == split


def test_secrets_are_read_from_arguments_files_and_variables(tmp_path: Path) -> None:
    file = tmp_path / "secret.txt"
    file.write_text("from a file\n")

    credentials = read_credentials(
        None, None, "TOKEN", ["a=given"], [f"b={file}"], ["c=HOOK"], {"TOKEN": "shpat_1", "HOOK": "from outside"}
    )

    assert credentials.access_token == "shpat_1"
    assert credentials.webhook_secrets == {"a": "given", "b": "from a file", "c": "from outside"}
    assert "shpat_1" not in repr(credentials)
    assert "given" not in repr(credentials)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("t", "f", None, None, None, None), "f: "),
        (("t", None, "TOKEN", None, None, None), "the access token is given twice"),
        ((None, None, "ABSENT", None, None, None), "variable ABSENT is not set"),
        ((None, None, None, ["x", "y"], None, None), "webhook secret 'main' is given twice"),
    ],
)
def test_ambiguous_or_missing_secrets_are_refused(arguments: Given, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_credentials(*arguments, environ={"TOKEN": "shpat_1"})


def test_every_setting_is_described_as_it_is_given() -> None:
    described = {row["name"]: row for row in describe_settings()}

    assert set(described) == set(ShopSettings.model_fields)
    assert described["auto_create_orders"]["values"] == "true | false"
    assert described["county_source"] == {
        "name": "county_source",
        "values": "code | name",
        "default": "code",
        "meaning": "Whether a county is the province's code or its name.",
    }
    assert described["tip_account"]["values"] == "text of at most 20"


def test_an_unknown_setting_is_answered_with_all_of_them() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_settings(["colour=blue"])

    assert all(f"\n  {name} (" in caught.value.message for name in ShopSettings.model_fields)


def test_the_latest_change_of_each_setting_counts() -> None:
    history = [
        AuditEntry(NOON, "bob", "shop set", {"tip_account": {"old": "1", "new": "2"}}),
        AuditEntry(NOON.replace(hour=9), "ada", "shop add", {"tip_account": "1", "auto_create_orders": True}),
    ]

    rows = {row["name"]: row for row in settings_with_history(ShopSettings(tip_account="2"), history)}

    assert (rows["tip_account"]["value"], rows["tip_account"]["changed_by"]) == ("2", "bob")
    assert rows["auto_create_orders"]["changed_by"] == "ada"
    assert rows["county_source"]["changed_by"] is None
