"""Every named query fits the migrated schema: PostgreSQL itself parses and analyses each one."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tests.support.services import Services
from worker.database import queries

TOPICS = sorted(path.stem for path in queries.SQL_FOLDER.glob("*.sql"))
QUERIES = [(topic, name) for topic in TOPICS for name in sorted(queries.load(topic))]

_PARAMETER = re.compile(r"%\((\w+)\)s")


@pytest.fixture(scope="module")
def connection(services: Services, migrated_template: str) -> Iterator[psycopg.Connection]:
    """A connection to a migrated database that nobody writes to."""
    url = urlunsplit(urlsplit(services.database_url)._replace(path=f"/{migrated_template}"))
    with psycopg.connect(url, autocommit=True) as opened:
        yield opened


@pytest.mark.parametrize(("topic", "name"), QUERIES, ids=[f"{topic}.{name}" for topic, name in QUERIES])
def test_a_named_query_fits_the_schema(connection: psycopg.Connection, topic: str, name: str) -> None:
    connection.execute(prepared(queries.load(topic)[name].decode()))

    connection.execute("DEALLOCATE checked")


def test_a_typo_in_a_column_is_found(connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.UndefinedColumn):
        connection.execute(prepared("SELECT idd FROM backroom.job WHERE id = %(id)s"))


def prepared(query: str) -> bytes:
    """The query as `PREPARE checked …`; its parameters are numbered and their types left to PostgreSQL."""
    numbers: dict[str, int] = {}
    text = _PARAMETER.sub(lambda found: f"${numbers.setdefault(found[1], len(numbers) + 1)}", query)
    return f"PREPARE checked AS {text.replace('%%', '%')}".encode()
