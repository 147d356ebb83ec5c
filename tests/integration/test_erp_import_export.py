"""Data into and out of the embedded ERP: `backroom erp import` and `export`."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from tests.conformance.erp_contract import ADDRESS
from tests.support.erp import fill, set_up
from tests.support.services import Services, fresh_database, name_of
from worker.database.pool import Database
from worker.erp.postgres import starter
from worker.erp.postgres.adapter import PostgresErp
from worker.erp.postgres.data import (
    BATCH,
    ImportResult,
    Mode,
    OnError,
    Options,
    RowResult,
    RowStatus,
    export_rows,
    import_file,
)
from worker.erp.postgres.files import FileFormat
from worker.erp.postgres.kinds import KINDS
from worker.errors import InvalidInput, RetryLater
from worker.model.customer import CustomerQuery
from worker.model.sales_document import DocumentDraft, DocumentLine, DocumentType, LineKind

CREATED, CHANGED, UNCHANGED, FAILED = RowStatus


@pytest.fixture(scope="module")
def starter_template(services: Services, migrated_template: str) -> Iterator[str]:
    """A database with the starter company, from which each test gets a copy."""
    with fresh_database(services.database_url, migrated_template) as url:
        with Database(url, application_name="test-erp-data") as database:
            starter.install(database)
        yield name_of(url)


@pytest.fixture
def database_url(services: Services, starter_template: str) -> Iterator[str]:
    with fresh_database(services.database_url, starter_template) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url, application_name="test-erp-data") as database:
        yield database


class Folder:
    """Writes files and imports them."""

    def __init__(self, path: Path, database: Database) -> None:
        self._path = path
        self._database = database
        self.rows: list[RowResult] = []

    def file(self, name: str, content: str | bytes) -> Path:
        path = self._path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def load(self, kind: str, content: str | bytes, name: str = "in.csv", **options: object) -> ImportResult:
        self.rows = []
        return import_file(
            self._database,
            kind,
            self.file(name, content),
            options=Options(**options),  # type: ignore[arg-type]
            on_row=self.rows.append,
        )

    def statuses(self) -> list[RowStatus]:
        return [row.status for row in self.rows]


@pytest.fixture
def folder(tmp_path: Path, database: Database) -> Folder:
    return Folder(tmp_path, database)


@pytest.fixture(scope="module")
def calm_database(services: Services, starter_template: str) -> Iterator[Database]:
    """With records of every kind; shared by the tests that change nothing."""
    with (
        fresh_database(services.database_url, starter_template) as url,
        Database(url, application_name="test-erp-data") as database,
    ):
        set_up(database)
        yield database


@pytest.fixture
def calm_folder(tmp_path: Path, calm_database: Database) -> Folder:
    return Folder(tmp_path, calm_database)


def export(database: Database, kind: str, file_format: FileFormat = FileFormat.CSV) -> str:
    target = io.StringIO()
    export_rows(database, kind, target, file_format=file_format)
    return target.getvalue()


def test_rows_are_created_then_unchanged_then_changed(folder: Folder) -> None:
    folder.load("units", "code,name\npcs,Piece\nPACK,Pack\n")
    first = folder.statuses()
    folder.load("units", "code,name\npcs,Piece\nPACK,Pack\n")
    second = folder.statuses()
    folder.load("units", "code,name\nPCS,Piece\nPACK,Pack of ten\n")

    assert (first, second) == ([UNCHANGED, CREATED], [UNCHANGED, UNCHANGED])
    assert folder.rows == [RowResult(1, "PCS", UNCHANGED), RowResult(2, "PACK", CHANGED)]


def test_a_file_may_begin_with_a_byte_order_mark_and_hold_any_script(folder: Folder, database: Database) -> None:
    folder.load("units", 'code,name\nKÄ,"Käse, «großer»"\n'.encode("utf-8-sig"))

    assert 'KÄ,"Käse, «großer»"\n' in export(database, "units")


def test_a_column_that_is_not_in_the_file_stays_as_it_is(folder: Folder, database: Database) -> None:
    folder.load("customers", "number,name,email\nC1,Ada,ada@example.com\n")

    result = folder.load("customers", "number,city\nC1,Roma\n")

    ((ada,),) = PostgresErp(database).find_customers([CustomerQuery(email="ada@example.com")])
    assert result.counts[CHANGED] == 1
    assert (ada.address.name, ada.address.city) == ("Ada", "Roma")


def test_an_empty_cell_takes_the_default_of_its_column(folder: Folder, database: Database) -> None:
    folder.load("customers", "number,name,blocked,prices_include_vat\nC1,Ada,all,yes\n")

    folder.load("customers", "number,name,blocked,prices_include_vat\nC1,,,\n")

    (row,) = csv.DictReader(io.StringIO(export(database, "customers")))
    assert (row["name"], row["blocked"], row["prices_include_vat"]) == ("", "", "false")


def test_json_lines_hold_the_same_rows(folder: Folder, database: Database) -> None:
    lines = [
        {"number": "1000", "base_unit": "PCS", "unit_price": 12.5, "sales_blocked": True},
        {"number": "1001", "base_unit": "PCS", "unit_price": "0.1", "description": None},
    ]
    folder.load("items", "\n".join(json.dumps(line) for line in lines), "in.jsonl")

    exported = [json.loads(line) for line in export(database, "items", FileFormat.JSONL).splitlines()]

    assert [(each["number"], each["unit_price"]) for each in exported] == [("1000", "12.5"), ("1001", "0.1")]
    assert exported[0]["sales_blocked"] is True


@pytest.mark.parametrize("file_format", list(FileFormat))
@pytest.mark.parametrize("kind", [kind.name for kind in KINDS.values() if kind.importable])
def test_what_is_exported_imports_as_unchanged(
    calm_folder: Folder, calm_database: Database, kind: str, file_format: FileFormat
) -> None:
    text = export(calm_database, kind, file_format)

    result = calm_folder.load(kind, text, f"in.{file_format}")

    assert calm_folder.rows
    assert set(calm_folder.statuses()) == {UNCHANGED}
    assert result.committed
    assert export(calm_database, kind, file_format) == text


def test_a_failing_row_keeps_the_whole_file_out(calm_folder: Folder, calm_database: Database) -> None:
    before = export(calm_database, "items")

    result = calm_folder.load("items", "number,base_unit\n1,PCS\n2,NOPE\n3,PCS\n")

    assert not result.committed
    assert calm_folder.statuses() == [CREATED, FAILED]
    assert calm_folder.rows[1] == RowResult(
        2,
        "2",
        FAILED,
        "column base_unit: 'NOPE' is not among the units; correct it, or import that first with "
        "`backroom erp import units FILE`",
        "base_unit",
    )
    assert export(calm_database, "items") == before


def test_failing_rows_may_be_skipped_wherever_they_are(folder: Folder, database: Database) -> None:
    guilty = {1, 7, BATCH, BATCH + 1, BATCH + 50}
    lines = [f"{number:05d},{'NOPE' if number in guilty else 'PCS'}\n" for number in range(1, BATCH * 2 + 1)]

    result = folder.load("items", "number,base_unit\n" + "".join(lines), on_error=OnError.SKIP)

    assert {row.row for row in folder.rows if row.status is FAILED} == guilty
    assert [row.row for row in folder.rows] == list(range(1, BATCH * 2 + 1))
    assert (result.committed, result.failed) == (True, 5)
    assert export(database, "items").count("\n") == BATCH * 2 - 5 + 1


@pytest.mark.parametrize("on_error", list(OnError))
def test_a_dry_run_checks_everything_and_keeps_nothing(
    calm_folder: Folder, calm_database: Database, on_error: OnError
) -> None:
    before = export(calm_database, "units")

    result = calm_folder.load("units", "code\nNEW\nPCS\n", dry_run=True, on_error=on_error)

    assert calm_folder.statuses() == [CREATED, UNCHANGED]
    assert not result.committed
    assert export(calm_database, "units") == before


def test_insert_refuses_what_exists_and_keep_leaves_it(calm_folder: Folder, calm_database: Database) -> None:
    before = export(calm_database, "units")

    calm_folder.load("units", "code,name\nPCS,Other\n", mode=Mode.INSERT)
    inserted = calm_folder.rows[0]
    calm_folder.load("units", "code,name\nPCS,Other\n", mode=Mode.KEEP)

    assert (inserted.status, inserted.column) == (FAILED, "code")
    assert "mode upsert" in inserted.message
    assert calm_folder.statuses() == [UNCHANGED]
    assert export(calm_database, "units") == before


def test_a_key_twice_in_one_file_is_one_record(folder: Folder, database: Database) -> None:
    folder.load("units", "code,name\nNEW,First\nnew,Second\nNEW,Second\n")

    assert folder.statuses() == [CREATED, CHANGED, UNCHANGED]
    assert "NEW,Second\n" in export(database, "units")


def test_a_row_may_refer_to_a_later_row(folder: Folder) -> None:
    result = folder.load("customers", "number,bill_to\nC1,C2\nC2,\n")

    assert result.committed


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("items", 'number,base_unit,unit_price\n1,PCS,"1,50"\n', "column unit_price: '1,50' must be a number"),
        ("items", "number,base_unit,unit_price\n1,PCS,1_000\n", "column unit_price: '1_000' must be a number"),
        ("items", "number,base_unit,unit_price\n1,PCS,NaN\n", "column unit_price: 'NaN' must be a number"),
        ("items", "number,base_unit,unit_price\n1,PCS,0.123456\n", "more than 5 decimals"),
        ("items", "number,base_unit,unit_price\n1,PCS,-1\n", "column unit_price: the ERP does not accept '-1'"),
        ("items", "number,base_unit,blocked\n1,PCS,maybe\n", "column blocked: 'maybe' must be true or false"),
        ("items", "number,base_unit,type\n1,PCS,thing\n", "must be one of 'inventory', 'service'"),
        ("items", "number,base_unit,gtin\n1,PCS,12\n", "column gtin: the ERP does not accept '12'"),
        ("items", "number,base_unit\n1,\n", "column base_unit is empty; a value is required"),
        ("items", "number\n1\n", "column base_unit is missing; a new record needs it"),
        ("items", "number,base_unit\n,PCS\n", "column number is empty"),
        ("items", "number,base_unit\n1,PCS,more\n", "the row has 3 cells, the header 2"),
        ("items", "number,base_unit\n123456789012345678901,PCS\n", "has 21 characters, at most 20"),
        ("item-variants", "item,code\nNOPE,S\n", "column item: 'NOPE' is not among the items"),
        ("item-references", "item,variant,value\n1,S,1\n", "column item: '1' is not among the items"),
        ("number-series", "code,start_date\nX,31.12.2026\n", "column start_date: '31.12.2026' must be a date"),
        ("number-series", "code,digits\nX,many\n", "column digits: 'many' must be a whole number"),
        ("number-series", "code,digits\nX,9999999999\n", "the ERP does not accept the row"),
        ("company", "name,time_zone\nX,Mars/Olympus\n", "column time_zone: the ERP does not accept"),
        ("customers", "number,country\nC1,QQ\n", "column country: 'QQ' is not among the countries"),
    ],
)
def test_a_refused_row_names_column_value_and_way_out(
    calm_folder: Folder, kind: str, content: str, message: str
) -> None:
    result = calm_folder.load(kind, content)

    assert not result.committed
    assert message in calm_folder.rows[-1].message


@pytest.mark.parametrize(
    ("kind", "name", "content", "message"),
    [
        ("nothing", "in.csv", "a\n", "kind 'nothing' does not exist; choose one of number-series"),
        ("sales-orders", "in.csv", "a\n", "can only be exported"),
        ("units", "in.xlsx", "a\n", "name the file .csv or .jsonl"),
        ("units", "in.csv", "", "the file is empty"),
        ("units", "in.csv", "code,colour\nX,red\n", "column 'colour' does not exist"),
        ("units", "in.csv", "name\nX\n", "column 'code' is missing"),
        ("units", "in.csv", "code,code\nX,Y\n", "names a column twice"),
        ("units", "in.csv", b"code,name\nX,\xff\n", "not UTF-8"),
        ("units", "in.csv", 'code,name\nX,"open\n', "is not CSV"),
        ("units", "in.jsonl", '{"code": "X"}\n{"code"\n', "line 2 is not JSON"),
        ("units", "in.jsonl", "[1]\n", "line 1 is not a JSON object"),
    ],
)
def test_an_unreadable_file_is_wrong_input_and_changes_nothing(
    calm_folder: Folder, calm_database: Database, kind: str, name: str, content: str | bytes, message: str
) -> None:
    before = export(calm_database, "units")

    with pytest.raises(InvalidInput) as refused:
        calm_folder.load(kind, content, name)

    assert message in str(refused.value)
    assert export(calm_database, "units") == before


def test_a_file_that_is_not_there_is_wrong_input(calm_database: Database, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        import_file(calm_database, "units", tmp_path / "nowhere.csv")


def test_progress_counts_rows_batch_by_batch(database: Database, folder: Folder) -> None:
    seen: list[int] = []
    path = folder.file("in.csv", "code\n" + "".join(f"U{number}\n" for number in range(BATCH + 1)))

    import_file(database, "units", path, on_progress=seen.append)

    assert seen == [BATCH, BATCH + 1]


def test_an_import_waits_for_no_other_of_its_kind_for_long(calm_folder: Folder, calm_database: Database) -> None:
    with psycopg.connect(calm_database.url) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtext('erp import units'))")

        with pytest.raises(RetryLater) as busy:
            calm_folder.load("units", "code\nX\n")

    assert busy.value.code == "erp_busy"


def test_numbers_in_use_survive_an_import_of_their_series(database: Database, folder: Folder) -> None:
    erp = PostgresErp(database)
    fill(database, "customers", [{"number": "ADA", "tax_business_group": "DOMESTIC"}])
    draft = an_order(erp)
    first = erp.create_document(draft("1"))

    folder.load("number-series", "code,prefix,digits,first_no\nS-ORDER,SO-,6,1\n", mode=Mode.UPSERT)

    assert (first.number, erp.create_document(draft("2")).number) == ("SO-000001", "SO-000002")


def test_documents_are_exported_with_their_lines(database: Database) -> None:
    erp = PostgresErp(database)
    fill(database, "customers", [{"number": "ADA", "tax_business_group": "DOMESTIC"}])
    erp.create_document(an_order(erp)("shop:1:order"))

    (order,) = csv.DictReader(io.StringIO(export(database, "sales-orders")))
    (line,) = csv.DictReader(io.StringIO(export(database, "sales-lines")))

    assert (order["number"], order["amount_incl_vat"], order["document_date"]) == (
        "SO-000001",
        "6.1",
        "2026-02-01",
    )
    assert (line["document"], line["number"], line["vat_pct"]) == ("SO-000001", "6110", "22")
    assert export(database, "sales-invoices").count("\n") == 1


def test_the_starter_company_leaves_alone_what_was_changed(database: Database, folder: Folder) -> None:
    folder.load("company", "name\nMine\n")

    results = starter.install(database)

    assert PostgresErp(database).company().name == "Mine"
    assert sum(result.counts[CREATED] + result.counts[CHANGED] for result in results.values()) == 0


def test_every_kind_has_its_queries_with_exactly_its_columns(calm_database: Database) -> None:
    for kind in KINDS.values():
        header = export(calm_database, kind.name).splitlines()[0]

        assert header == ",".join(column.name for column in kind.columns)


def an_order(erp: PostgresErp) -> Callable[[str], DocumentDraft]:
    """Makes orders of ADA by key: shipping for 5.00 EUR plus VAT."""
    ((ada,),) = erp.find_customers([CustomerQuery(number="ADA")])
    line = DocumentLine(10000, LineKind.GL_ACCOUNT, "Shipping", "6110", quantity=Decimal(1), unit_price=Decimal(5))

    def make(key: str) -> DocumentDraft:
        return DocumentDraft(
            type=DocumentType.ORDER,
            key=key,
            sell_to=ada.erp_id,
            bill_to=ada.erp_id,
            sell_to_address=ADDRESS,
            bill_to_address=ADDRESS,
            ship_to_address=ADDRESS,
            email="",
            phone="",
            currency="EUR",
            prices_include_vat=False,
            document_date=date(2026, 2, 1),
            external_document_no="",
            shopify_order_id=1,
            shopify_order_no="#1001",
            lines=(line,),
            expected_total_incl_vat=Decimal("6.10"),
        )

    return make
