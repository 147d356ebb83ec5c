"""The embedded ERP passes the suite of all ERPs, and keeps promises of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import DictRow

from tests.conformance.erp_contract import ADDRESS, ErpContract, World, a_draft, bell_line
from tests.support.erp import fill, set_up
from tests.support.services import Services, fresh_database, name_of
from worker.database.pool import Database
from worker.erp.port import ErpPort
from worker.erp.postgres.adapter import PostgresErp
from worker.errors import NeedsAttention, OutcomeUnknown, Rejected, RetryLater
from worker.model.customer import CustomerDraft, CustomerQuery
from worker.model.item import ItemKey, ItemQuery
from worker.model.sales_document import DocumentType


@pytest.fixture(scope="module")
def stocked_template(services: Services, migrated_template: str) -> Iterator[str]:
    """A database with the records of `tests.support.erp`, from which each test gets a copy."""
    with fresh_database(services.database_url, migrated_template) as url:
        with Database(url, application_name="test-erp") as database:
            set_up(database)
        yield name_of(url)


@pytest.fixture
def database_url(services: Services, stocked_template: str) -> Iterator[str]:
    with fresh_database(services.database_url, stocked_template) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url, application_name="test-erp", max_connections=8) as database:
        yield database


@pytest.fixture
def world(database: Database) -> World:
    return world_of(database)


@pytest.fixture(scope="module")
def calm_database(services: Services, stocked_template: str) -> Iterator[Database]:
    """Shared by the tests that change nothing."""
    with (
        fresh_database(services.database_url, stocked_template) as url,
        Database(url, application_name="test-erp") as database,
    ):
        yield database


@pytest.fixture(scope="module")
def calm(calm_database: Database) -> World:
    return world_of(calm_database)


@pytest.fixture(scope="module")
def defended_database(services: Services, stocked_template: str) -> Iterator[Database]:
    """One with a document, which must refuse what would break it."""
    with (
        fresh_database(services.database_url, stocked_template) as url,
        Database(url, application_name="test-erp") as database,
    ):
        world = world_of(database)
        world.erp.create_document(a_draft(world))
        yield database


def world_of(database: Database) -> World:
    erp: ErpPort = PostgresErp(database)
    numbers = ("C00010", "C00020", "C00021", "C00090", "C00091")
    found = erp.find_customers([CustomerQuery(number=number) for number in numbers])
    ada, twin, other_twin, blocked, untaxed = (answer[0].erp_id for answer in found)
    return World(erp, ada, (twin, other_twin), blocked, untaxed, template="SHOP")


class TestPostgresErp(ErpContract):
    """The suite on the embedded ERP; the fixtures are the module's."""


def test_an_empty_erp_says_how_to_make_a_company(database: Database) -> None:
    rows(database, "DELETE FROM erp.company_setup RETURNING name")

    with pytest.raises(NeedsAttention, match="backroom erp init") as refused:
        PostgresErp(database).company()

    assert refused.value.code == "company_missing"


def test_numbers_follow_their_series_and_step_over_those_taken_by_hand(world: World) -> None:
    first = world.erp.create_document(a_draft(world, key="1"))
    by_hand = world.erp.create_document(replace(a_draft(world, key="2"), requested_number="so-000002"))
    third = world.erp.create_document(a_draft(world, key="3"))

    assert [each.number for each in (first, by_hand, third)] == ["SO-000001", "SO-000002", "SO-000003"]


def test_a_number_longer_than_the_series_digits_is_not_cut(world: World, database: Database) -> None:
    fill(database, "number-series", [{"code": "S-ORDER", "first_no": 1_000_000}])

    assert world.erp.create_document(a_draft(world)).number == "SO-1000000"


def test_a_refused_document_gives_its_number_back(world: World) -> None:
    with pytest.raises(Rejected):
        world.erp.create_document(replace(a_draft(world), payment_method="NOPE"))

    assert world.erp.create_document(a_draft(world)).number == "SO-000001"


def test_a_series_without_manual_numbers_refuses_one(world: World, database: Database) -> None:
    fill(database, "number-series", [{"code": "S-ORDER", "manual_allowed": False}])

    with pytest.raises(Rejected, match="S-ORDER") as refused:
        world.erp.create_document(replace(a_draft(world), requested_number="#1001"))

    assert (refused.value.code, refused.value.field) == ("number_not_manual", "requested_number")


def test_a_series_that_has_not_begun_needs_attention(world: World, database: Database) -> None:
    fill(database, "number-series", [{"code": "LATER", "start_date": "2999-01-01"}])
    fill(database, "company", [{"customer_series": "LATER"}])

    with pytest.raises(NeedsAttention, match="LATER") as refused:
        world.erp.create_customer(CustomerDraft(ADDRESS), "C:1")

    assert refused.value.code == "number_series_missing"


def test_a_refused_document_leaves_no_trace(world: World, database: Database) -> None:
    with pytest.raises(Rejected):
        world.erp.create_document(a_draft(world, total="1.00"))

    assert rows(database, "SELECT * FROM erp.sales_document, erp.sales_line") == []
    assert rows(database, "SELECT * FROM erp.operation") == []
    assert rows(database, "SELECT last_no FROM erp.number_series_line WHERE last_no IS NOT NULL") == []


def test_reverse_charge_leaves_the_vat_to_the_buyer(world: World, database: Database) -> None:
    reverse = {"business_group": "DOMESTIC", "product_group": "STANDARD", "kind": "reverse", "pct": "22"}
    fill(database, "tax-rates", [reverse])
    draft = replace(a_draft(world, total="29.97"), prices_include_vat=False)

    made = world.erp.create_document(draft)

    assert (made.amount, made.amount_incl_vat) == (Decimal("29.97"), Decimal("29.97"))
    assert world.erp.vat_rate(world.ada, ["STANDARD"]) == {"STANDARD": 0}


def test_the_due_date_follows_the_payment_terms(world: World, database: Database) -> None:
    world.erp.create_document(replace(a_draft(world), payment_terms="NET14"))

    assert rows(database, "SELECT due_date::text FROM erp.sales_document") == [{"due_date": "2026-02-15"}]


def test_a_customer_blocked_for_shipping_gets_invoices_but_no_orders(world: World, database: Database) -> None:
    fill(database, "customers", [{"number": "C00010", "blocked": "ship"}])

    with pytest.raises(Rejected) as refused:
        world.erp.create_document(a_draft(world))
    invoice = world.erp.create_document(replace(a_draft(world, key="2"), type=DocumentType.INVOICE))

    assert (refused.value.code, refused.value.field) == ("blocked", "sell_to")
    assert invoice.number == "SI-000001"


# --- cost


def test_a_look_up_of_many_is_one_statement(world: World, database_url: str) -> None:
    database = RecordingDatabase(database_url, application_name="test-erp")
    with database:
        erp = PostgresErp(database)

        erp.find_items([ItemQuery(ItemKey.NUMBER, str(number)) for number in range(500)])
        erp.find_customers([CustomerQuery(email=f"{number}@example.com") for number in range(500)])
        erp.get_customers([world.ada] * 100)
        erp.vat_rate(world.ada, ["STANDARD", "REDUCED", "ZERO"])

        assert len(database.executed) == 4


def test_a_document_costs_the_same_statements_however_many_lines_it_has(world: World, database_url: str) -> None:
    database = RecordingDatabase(database_url, application_name="test-erp")
    with database:
        erp = PostgresErp(database)
        erp.create_document(a_draft(world, key="1"))
        for_one_line = len(database.executed)
        lines = [bell_line(number, quantity="1") for number in range(1, 101)]

        erp.create_document(a_draft(world, *lines, key="100", total="999.00"))

        assert for_one_line == 8
        assert len(database.executed) == 2 * for_one_line


# --- trouble


def test_a_commit_without_an_answer_is_an_unknown_outcome_that_the_key_resolves(
    world: World, database_url: str
) -> None:
    with (
        AnswerlessDatabase(database_url, application_name="test-erp") as database,
        pytest.raises(OutcomeUnknown) as unknown,
    ):
        PostgresErp(database).create_document(a_draft(world))

    found = world.erp.find_document(unknown.value.key)
    assert found is not None
    assert world.erp.create_document(a_draft(world)) == found


def test_a_lock_that_lasts_too_long_is_passing_trouble_and_nothing_is_written(world: World, database: Database) -> None:
    with database.transaction() as other:
        other.execute("LOCK TABLE erp.operation")
        erp = PostgresErp(database)

        with pytest.raises(RetryLater) as busy:
            erp.create_document(a_draft(world))

    assert busy.value.code == "erp_busy"
    assert world.erp.find_document("shop:1:order") is None


def test_a_database_that_is_gone_is_trouble_of_the_world(database_url: str) -> None:
    with GoneDatabase(database_url, application_name="test-erp") as database:
        with pytest.raises(NeedsAttention) as reading:
            PostgresErp(database).company()
        with pytest.raises(NeedsAttention) as writing:
            PostgresErp(database).create_customer(CustomerDraft(ADDRESS), "C:1")

    assert (reading.value.code, writing.value.code) == ("erp_away", "erp_away")


# --- what the database itself refuses


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE erp.sales_line SET amount = amount + 0.01",
        "UPDATE erp.sales_line SET line_discount_amount = -1",
        "UPDATE erp.sales_line SET invoice_discount_amount = line_amount + 1",
        "UPDATE erp.sales_line SET item = NULL",
        "UPDATE erp.sales_line SET variant = 'NOPE'",
        "UPDATE erp.sales_line SET quantity = 'NaN'",
        "UPDATE erp.sales_line SET unit_price = 0.000001",
        "UPDATE erp.sales_document SET amount = 0",
        "UPDATE erp.sales_document SET external_key = ''",
        "UPDATE erp.sales_document SET currency = 'QQQ'",
        "UPDATE erp.sales_document SET shipping_agent = 'DHL', shipping_agent_service = 'STANDARD'",
        "UPDATE erp.sales_document SET shipping_agent_service = 'PARCEL'",
        "DELETE FROM erp.customer",
        "DELETE FROM erp.item WHERE number = '1003'",
        "DELETE FROM erp.currency WHERE code = 'EUR'",
        "UPDATE erp.customer SET number = 'lower' WHERE number = 'C00091'",
        "UPDATE erp.customer SET bill_to = number",
        "UPDATE erp.customer SET country = 'QQ'",
        "UPDATE erp.customer SET phone_e164 = '02 1234'",
        "UPDATE erp.company_setup SET time_zone = 'Europe/Nowhere'",
        "INSERT INTO erp.company_setup SELECT (jsonb_populate_record(s, '{\"only_row\": false}')).* "
        "FROM erp.company_setup s",
        "UPDATE erp.tax_rate SET pct = 101",
        "UPDATE erp.item SET gtin = '123'",
        "UPDATE erp.item SET base_unit = ''",
        "INSERT INTO erp.item_reference (item, value) VALUES ('1003', '8000000100300')",
        "INSERT INTO erp.item_reference (item, variant, value) VALUES ('1003', 'S', '1')",
    ],
)
def test_what_must_never_be_the_database_refuses(defended_database: Database, statement: str) -> None:
    with pytest.raises(psycopg.IntegrityError), defended_database.transaction() as connection:
        connection.execute(statement.encode())


def test_a_change_raises_the_version_of_a_record(world: World, database: Database) -> None:
    before = world.erp.get_customers([world.ada])[0].version

    fill(database, "customers", [{"number": "C00010", "city": "Roma"}])

    assert int(world.erp.get_customers([world.ada])[0].version) == int(before) + 1


def rows(database: Database, statement: str) -> list[DictRow]:
    with database.transaction() as connection:
        return connection.execute(statement.encode()).fetchall()


class RecordingDatabase(Database):
    """Remembers every statement, to assert what an operation costs."""

    def __init__(self, url: str, *, application_name: str) -> None:
        super().__init__(url, application_name=application_name)
        self.executed: list[bytes] = []

    @contextmanager
    def transaction(self) -> Iterator[Connection[DictRow]]:
        with super().transaction() as connection:
            yield cast(Connection[DictRow], _Recorder(connection, self.executed))


class _Recorder:
    def __init__(self, connection: Connection[DictRow], statements: list[bytes]) -> None:
        self._connection = connection
        self._statements = statements

    def execute(self, query: bytes, *arguments: Any) -> Any:
        self._statements.append(query)
        return self._connection.execute(query, *arguments)


class AnswerlessDatabase(Database):
    """Commits, and loses the connection before the answer."""

    @contextmanager
    def transaction(self) -> Iterator[Connection[DictRow]]:
        with super().transaction() as connection:
            yield connection
        raise psycopg.OperationalError("server closed the connection unexpectedly")


class GoneDatabase(Database):
    """Has lost its server."""

    @contextmanager
    def transaction(self) -> Iterator[Connection[DictRow]]:
        if self.url:
            raise psycopg.OperationalError("connection refused")
        yield cast(Connection[DictRow], None)
