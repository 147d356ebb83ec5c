"""`backroom` as its users meet it: real commands on a real database and broker, their output and exit codes."""

import csv
import io
import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.simulator.server import Simulator
from tests.support import processes
from tests.support import services as service_kit
from tests.support.installation import free_port
from tests.support.services import Services

CLOSED_DATABASE = "postgresql://nobody@127.0.0.1:1/nothing"
CLOSED_BROKER = "amqp://127.0.0.1:1/"

ITEMS = "number,description,base_unit,unit_price,gtin\nA-1,Chair,PCS,49.90,4006381333931\nA-2,Table,PCS,149.90,\n"


@dataclass(frozen=True)
class Backroom:
    """The command line, started in a folder of its own."""

    environment: dict[str, str]
    folder: Path

    def __call__(self, *arguments: str, exit_code: int = 0) -> "CompletedProcess[str]":
        """Run a command to its end; it must end with `exit_code`, and never with a traceback."""
        done = processes.run_backroom(*arguments, environment=self.environment, directory=self.folder)
        assert done.returncode == exit_code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def json(self, *arguments: str, exit_code: int = 0) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self(*arguments, "--json", exit_code=exit_code).stdout)

    def refused(self, *arguments: str, exit_code: int = 2) -> str:
        """What the command says when it ends with an error."""
        done = self(*arguments, exit_code=exit_code)
        assert done.stdout == ""
        return done.stderr

    def with_variables(self, **variables: str) -> "Backroom":
        """The same with other environment variables."""
        return replace(self, environment=self.environment | variables)


@pytest.fixture(scope="module")
def backroom(
    services: Services, migrated_template: str, module_amqp_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backroom]:
    """One installation for all tests of this module, with queues and the starter company."""
    with service_kit.fresh_database(services.database_url, migrated_template) as database_url:
        environment = processes.environment(
            database_url, module_amqp_url, services.secret_key, BACKROOM_MANAGEMENT_URL=services.management_url
        )
        command = Backroom(environment, tmp_path_factory.mktemp("commands"))
        command("topology", "apply")
        command("erp", "init")
        yield command


@pytest.fixture
def shop(backroom: Backroom, request: pytest.FixtureRequest) -> str:
    """A shop of this test alone, without credentials."""
    code = str(request.node.name).removeprefix("test_").replace("_", "-")[:50].rstrip("-")
    backroom("shops", "add", code, "--domain", f"{code}.myshopify.com")
    return code


def test_migrate_says_from_where_to_where_and_repeating_it_changes_nothing(
    services: Services, empty_database_url: str, tmp_path: Path
) -> None:
    command = Backroom(processes.environment(empty_database_url, CLOSED_BROKER, services.secret_key), tmp_path)

    unprepared = command.refused("status", exit_code=1)
    first = command("migrate").stderr
    second = command("migrate").stderr

    assert "run `backroom migrate`" in unprepared
    assert first.startswith("the database went from empty to version 0")
    assert second.startswith("the database is up to date (version 0")


def test_topology_is_missing_then_applied_then_as_it_must_be(backroom: Backroom, amqp_url: str) -> None:
    command = backroom.with_variables(BACKROOM_AMQP_URL=amqp_url)

    before = command.json("topology", "check", exit_code=1)
    applied = command("topology", "apply").stderr
    after = command.json("topology", "check")

    assert {"queue orders", "exchange sync.requests"} <= {difference["subject"] for difference in before}
    assert "created queue orders\n" in applied
    assert after == []
    assert command("topology", "apply").stderr == "exchanges, queues and policies are as they must be\n"


def test_a_shop_is_added_changed_shown_and_listed_without_showing_its_secrets(backroom: Backroom) -> None:
    (backroom.folder / "token.txt").write_text("shpat_0123456789abcdef\n")
    command = backroom.with_variables(HOOK="hush-hush")

    command(
        *("shops", "add", "my-shop", "--domain", "My-Shop.myshopify.com", "--set", "auto_create_orders=true"),
        *("--access-token-file", "token.txt", "--webhook-secret-env", "2026=HOOK"),
    )
    command("shops", "set", "my-shop", "shipping_charges_account=6110", "customer_import_from_shopify=none")
    shown = command.json("shops", "show", "my-shop")
    listed = [row for row in command.json("shops", "list") if row["code"] == "my-shop"]
    for_people = command("shops", "show", "my-shop").stdout

    settings = {row["name"]: row for row in shown["settings"]}
    assert settings["auto_create_orders"]["value"] is True
    assert settings["shipping_charges_account"]["value"] == "6110"
    assert settings["shipping_charges_account"]["changed_by"].startswith("cli:")
    assert settings["tip_account"]["changed_by"] is None
    assert [entry["action"] for entry in shown["history"]] == [
        "shop set",
        "shop add webhook secret",
        "shop set access token",
        "shop add",
    ]
    assert listed[0]["domain"] == "my-shop.myshopify.com"
    assert (listed[0]["connected"], listed[0]["webhook_secret_ids"]) == (True, ["2026"])
    for secret in ("shpat_", "hush"):
        assert secret not in for_people + json.dumps(shown)


def test_a_disabled_shop_starts_nothing_until_it_is_enabled(backroom: Backroom, shop: str) -> None:
    backroom("shops", "disable", shop)
    refusal = backroom.refused("sync", "sync_orders", "--shop", shop)
    backroom("shops", "enable", shop)
    accepted = backroom.json("sync", "sync_orders", "--shop", shop)

    assert f"`backroom shops enable {shop}`" in refusal
    assert accepted["held_by"] == "broker"


def test_an_unknown_setting_changes_nothing_and_lists_all_settings(backroom: Backroom, shop: str) -> None:
    refusal = backroom.refused("shops", "set", shop, "auto_create_orders=true", "colour=blue")

    assert "no setting is called colour" in refusal
    assert "  auto_create_orders (true | false; default false)\n" in refusal
    assert "  county_source (code | name; default code)\n" in refusal
    assert backroom.json("shops", "show", shop)["version"] == 1


def test_the_connection_to_a_shop_is_tried(backroom: Backroom) -> None:
    with Simulator.start() as simulator:
        facts = simulator.add_shop("tried")
        backroom(
            *("shops", "add", "tried", "--domain", facts["domain"], "--api-url", facts["api_url"]),
            *("--access-token", facts["token"]),
        )

        good = backroom.json("shops", "test", "tried")
        backroom("shops", "set", "tried", "--access-token", "shpat_wrong")
        bad = backroom("shops", "test", "tried", exit_code=1)

    assert good["works"]
    assert good["currency"] == "EUR"
    assert good["missing_scopes"]["sync_orders"] == []
    assert "Shopify refuses the access token" in bad.stdout


def test_a_file_is_imported_once_exported_as_it_was_and_imported_again_unchanged(
    backroom: Backroom, tmp_path: Path
) -> None:
    (tmp_path / "items.csv").write_text(ITEMS)

    checked = backroom.json("erp", "import", "items", f"{tmp_path}/items.csv", "--dry-run")
    first = backroom.json("erp", "import", "items", f"{tmp_path}/items.csv")
    exported = list(csv.DictReader(io.StringIO(backroom("erp", "export", "items").stdout)))
    backroom("erp", "export", "items", "--output", f"{tmp_path}/items.jsonl")
    again = backroom.json("erp", "import", "items", f"{tmp_path}/items.jsonl")

    assert (checked["created"], checked["committed"]) == (2, False)
    assert (first["created"], first["committed"]) == (2, True)
    assert [(row["number"], row["description"], row["unit_price"]) for row in exported] == [
        ("A-1", "Chair", "49.9"),
        ("A-2", "Table", "149.9"),
    ]
    assert (again["created"], again["changed"], again["unchanged"], again["failed"]) == (0, 0, 2, 0)


def test_failed_rows_are_listed_with_their_reason_and_the_others_kept_when_asked(
    backroom: Backroom, tmp_path: Path
) -> None:
    (tmp_path / "items.csv").write_text("number,base_unit\nB-1,PCS\nB-2,NOPE\nB-3,PCS\n")

    stopped = backroom("erp", "import", "items", f"{tmp_path}/items.csv", exit_code=1)
    skipped = backroom.json(
        *("erp", "import", "items", f"{tmp_path}/items.csv", "--on-error", "skip", "--result", f"{tmp_path}/r.csv"),
        exit_code=1,
    )

    assert "'NOPE' is not among the units" in stopped.stdout
    assert "nothing was imported" in stopped.stderr
    assert (skipped["created"], skipped["failed"], skipped["committed"]) == (2, 1, True)
    assert skipped["failed_rows"][0]["row"] == 2
    results = csv.DictReader(io.StringIO((tmp_path / "r.csv").read_text()))
    assert [row["status"] for row in results] == ["created", "failed", "created"]


def test_a_file_that_cannot_be_read_is_wrong_input(backroom: Backroom, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_bytes(b"\xff\xfe\x00")

    assert "not UTF-8" in backroom.refused("erp", "import", "items", f"{tmp_path}/items.csv")
    assert "No such file" in backroom.refused("erp", "import", "items", f"{tmp_path}/other.csv")
    assert "choose one of" in backroom.refused("erp", "import", "chairs", f"{tmp_path}/items.csv")


def test_a_schedule_is_added_listed_paused_resumed_and_removed(backroom: Backroom, shop: str) -> None:
    add = ("schedules", "add", "--shop", shop, "--report", "30104")
    backroom(*add, "nightly", "--cron", "30 2 * * *", "--zone", "Europe/Rome", "--set", "fully_paid=true")
    backroom(*add, "often", "--every", "1h30m", "--priority", "low")

    listed = {row["name"]: row for row in backroom.json("schedules", "list", "--shop", shop, "--preview", "2")}
    backroom("schedules", "pause", "often", "--reason", "stocktaking")
    paused = {row["name"]: row for row in backroom.json("schedules", "list", "--shop", shop)}
    backroom("schedules", "resume", "often")
    for_people = backroom("schedules", "list", "--shop", shop).stdout
    backroom("schedules", "remove", "often")

    assert listed["nightly"]["when"] == "30 2 * * * (Europe/Rome)"
    assert listed["nightly"]["parameters"] == {"fully_paid": "true"}
    assert listed["nightly"]["ticks_ahead"][0] == listed["nightly"]["next_due_at"]
    assert len(listed["nightly"]["ticks_ahead"]) == 2
    assert (listed["often"]["when"], listed["often"]["priority"]) == ("every 1h30m", "low")
    assert (paused["often"]["state"], paused["often"]["note"]) == ("paused", "stocktaking")
    assert "stocktaking" not in for_people
    assert [row["name"] for row in backroom.json("schedules", "list", "--shop", shop)] == ["nightly"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sync", "no_such", "--shop", "any"), "known reports: sync_orders (30104), create_sales_orders (30103)"),
        (("sync", "30104", "--shop", "any", "--set", "paid=1"), "sync_orders has no parameter 'paid'"),
        (("sync", "30104", "--shop", "no-such"), "there is no shop 'no-such'"),
        (("shops", "show", "no-such"), "there is no shop 'no-such'"),
        (("orders", "list", "--shop", "no-such"), "there is no shop 'no-such'"),
        (
            ("schedules", "add", "x", "--shop", "any", "--report", "30104", "--cron", "99 * * * *"),
            "minute: '99' is not a cron field",
        ),
        (("schedules", "resume", "no-such"), "there is no schedule 'no-such'"),
        (("jobs", "show", "999999999"), "`backroom jobs list` shows those that exist"),
    ],
)
def test_wrong_input_is_refused_with_the_way_out(backroom: Backroom, arguments: tuple[str, ...], message: str) -> None:
    assert message in backroom.refused(*arguments)


def test_orders_nobody_knows_are_explained(backroom: Backroom, shop: str) -> None:
    listed = backroom.json("orders", "list", "--shop", shop)
    explained = backroom.json("orders", "explain", "#1001", "--shop", shop)
    refusal = backroom.refused("orders", "show", "1001", "--shop", shop)

    assert listed == []
    assert [finding["code"] for finding in explained["findings"]] == ["unknown_order"]
    assert f"`backroom sync sync_orders --shop {shop}" in refusal


def test_a_listing_for_programs_is_one_document_even_when_it_is_empty(backroom: Backroom) -> None:
    assert backroom.json("jobs", "list", "--shop", "no-such") == []
    assert backroom.json("dead-letters", "list", "--shop", "no-such") == []


def test_a_request_is_kept_by_the_database_while_the_broker_is_away(backroom: Backroom, shop: str) -> None:
    command = backroom.with_variables(BACKROOM_AMQP_URL=CLOSED_BROKER)

    accepted = command("sync", "sync_orders", "--shop", shop)

    assert "the database keeps it for a worker" in accepted.stderr
    assert command.json("status")["pending_requests"] == 1


@pytest.mark.parametrize(
    "arguments",
    [("jobs", "list"), ("migrate",), ("shops", "list"), ("sync", "sync_orders", "--shop", "any"), ("up",)],
)
def test_a_database_that_is_away_is_named_with_the_way_out(backroom: Backroom, arguments: tuple[str, ...]) -> None:
    command = backroom.with_variables(BACKROOM_DATABASE_URL=CLOSED_DATABASE, BACKROOM_AMQP_URL=CLOSED_BROKER)

    message = command.refused(*arguments, exit_code=3)

    assert "PostgreSQL at 127.0.0.1:1/nothing cannot be reached" in message
    assert "`backroom services up`" in message


def test_a_broker_that_is_away_is_named_with_the_way_out(backroom: Backroom) -> None:
    message = backroom.with_variables(BACKROOM_AMQP_URL=CLOSED_BROKER).refused("topology", "check", exit_code=3)

    assert "RabbitMQ at 127.0.0.1:1" in message
    assert "`backroom services up`" in message


def test_without_any_settings_the_way_to_services_is_told(tmp_path: Path) -> None:
    kept = {
        name: value for name, value in processes.environment("", "", "").items() if not name.startswith("BACKROOM_")
    }

    message = Backroom(kept, tmp_path).refused("doctor")

    assert "BACKROOM_DATABASE_URL is not set" in message
    assert "`backroom services up`" in message


def test_the_doctor_names_what_is_away_and_what_is_missing(backroom: Backroom, shop: str) -> None:
    away = backroom.with_variables(BACKROOM_DATABASE_URL=CLOSED_DATABASE, BACKROOM_AMQP_URL=CLOSED_BROKER)

    nothing_answers = {row["subject"]: row["level"] for row in away.json("doctor", exit_code=3)}
    idle = backroom.json("doctor", exit_code=1)

    assert nothing_answers == {"secret key": "ok", "database": "problem", "broker": "problem"}
    levels = {row["subject"]: row["level"] for row in idle}
    assert levels["workers"] == "problem"
    assert levels[f"shop {shop}"] == "warning"
    assert {levels[subject] for subject in ("database", "migrations", "clock", "broker", "topology", "ERP")} == {"ok"}


def test_up_runs_everything_until_it_is_told_to_stop(backroom: Backroom, tmp_path: Path) -> None:
    port = str(free_port())
    log = tmp_path / "up.log"

    with processes.backroom("up", "--webhooks-port", port, environment=backroom.environment, log=log) as process:
        process.wait_for_output("worker_started")
        process.wait_for_output("backroom-webhooks connected")
        findings = backroom.json("doctor")
        process.signal(signal.SIGTERM)
        exit_code = process.wait()

    assert exit_code == 0
    assert f"http://127.0.0.1:{port}/webhooks/shopify" in process.output()
    assert {row["subject"]: row["text"] for row in findings}["workers"] == "1 alive"
    assert not [row for row in findings if row["level"] == "problem"]


def test_the_contract_is_written_beside_other_files(backroom: Backroom, tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text("{}")

    written = backroom("contract", "export", "--output", str(tmp_path)).stderr
    again = backroom("contract", "export", "--output", str(tmp_path)).stderr

    assert f"wrote {tmp_path}/asyncapi.json\n" in written
    assert "are up to date" in again
    assert (tmp_path / "package.json").read_text() == "{}"
    assert json.loads(backroom("contract", "show", "asyncapi.json").stdout)["asyncapi"] == "3.0.0"
