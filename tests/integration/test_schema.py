"""The database on one page says what the migrations make, and migrating is safe to repeat and to race."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.support.services import Services, fresh_database
from tests.support.write_schema_sql import PATH, page, reread, written_with
from worker.database import migrate


def test_a_database_made_from_the_page_is_the_one_that_the_migrations_make(
    services: Services, database_url: str, empty_database_url: str
) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(PATH.read_bytes())

    with fresh_database(services.database_url) as another_url:
        assert page(empty_database_url) == reread(database_url, another_url)


def test_the_page_is_fresh(database_url: str, empty_database_url: str) -> None:
    page_now, page_stored = reread(database_url, empty_database_url), PATH.read_text(encoding="utf-8")
    if written_with(page_now) != written_with(page_stored):
        return  # servers of another age word the same differently: the test above has compared what they made

    assert page_stored == page_now, "run `make schema-sql`"


def test_the_page_shows_both_schemas_and_nothing_of_one_machine() -> None:
    text = PATH.read_text(encoding="utf-8")

    assert "CREATE TABLE backroom.job (" in text
    assert "CREATE TABLE erp.sales_document (" in text
    for noise in ("alembic_version", "OWNER TO", "GRANT ", "restrict ", "search_path', ''", "Dumped by"):
        assert noise not in text, noise


def test_migrating_twice_changes_nothing(database_url: str) -> None:
    before = page(database_url)

    migrate.upgrade(database_url)

    assert page(database_url) == before
    assert migrate.current_revision(database_url) == migrate.newest_revision()


def test_migrators_that_start_together_take_turns(services: Services, database_url: str) -> None:
    with fresh_database(services.database_url) as url, ThreadPoolExecutor(max_workers=3) as several:
        started = [several.submit(migrate.upgrade, url) for _ in range(3)]
        for each in started:
            each.result()

        assert page(url) == page(database_url)
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM public.alembic_version").fetchone() == (1,)


@pytest.mark.parametrize("file", sorted(migrate.FOLDER.glob("*.sql")), ids=lambda file: file.stem)
def test_every_migration_file_is_run_by_a_revision(file: Path) -> None:
    revision = migrate.FOLDER / "versions" / f"{file.stem}.py"

    assert f'"{file.stem}"' in revision.read_text(encoding="utf-8")
