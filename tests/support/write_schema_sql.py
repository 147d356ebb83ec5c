"""Writes `worker/database/schema.sql`, the database on one page, from the migrations: ``make schema-sql``.

The page is for reading; a database is made by `backroom migrate`. A test proves that both say the same.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg

from producers.operator.services import binaries
from tests.support import services as service_kit
from worker.database import migrate

PATH = Path(__file__).parents[2] / "worker" / "database" / "schema.sql"

_HEADER = """\
-- The database on one page, as the migrations make it: written by `make schema-sql` with PostgreSQL {major}, for
-- reading. Why something is as it is stands in migrations/*.sql.

SET check_function_bodies = false; -- functions come before the tables they read
"""
_NOISE = re.compile(
    r"^(--.*|SET .*;|SELECT pg_catalog\.set_config\(.*|\\(un)?restrict .*)$"  # between statements only: see `_clean`
)
_BODY_QUOTE = re.compile(r"\$\w*\$")


class NoPgDump(RuntimeError):
    """There is no pg_dump on this machine that can read the server."""


def page(database_url: str) -> str:
    """The schemas `backroom` and `erp` of a database, without what differs from machine to machine.

    Raises:
        NoPgDump: the server runs elsewhere, and this machine has no PostgreSQL programs of its age.
    """
    with psycopg.connect(database_url) as connection:
        major = connection.info.server_version // 10_000
    return _HEADER.format(major=major) + _clean(_dump(database_url, major))


def written_with(text: str) -> int:
    """The major version of the server that a page was written with."""
    found = re.search(r"with PostgreSQL (\d+)", text)
    if found is None:
        raise ValueError(f"{PATH.name} does not say which PostgreSQL it was written with: run `make schema-sql`")
    return int(found[1])


def _dump(database_url: str, server_major: int) -> str:
    usable = [each for each in binaries.find_postgres() if each.major >= server_major]
    if not usable:
        raise NoPgDump(f"no pg_dump {server_major} or newer was found: install PostgreSQL's programs")
    closest = min(usable, key=lambda each: each.major)
    login = urlsplit(database_url)
    without_password = urlunsplit(login._replace(netloc=f"{login.username}@{login.hostname}:{login.port or 5432}"))
    options = ["--schema-only", "--no-owner", "--no-privileges", "--schema=backroom", "--schema=erp"]
    dumped: subprocess.CompletedProcess[str] = subprocess.run(
        [str(closest.directory / "pg_dump"), *options, without_password],
        env={**os.environ, "PGPASSWORD": unquote(login.password or "")},
        capture_output=True,
        text=True,
    )
    if dumped.returncode:
        raise NoPgDump(f"pg_dump failed: {dumped.stderr.strip()}")
    return dumped.stdout


def _clean(dump: str) -> str:
    """Statements without pg_dump's own comments and settings, apart by one empty line; bodies stay untouched."""
    kept: list[str] = []
    body_quote: str | None = None
    for line in dump.splitlines():
        if body_quote is None and _NOISE.match(line):
            continue
        if body_quote is not None or line.strip() or (kept and kept[-1]):
            kept.append(line.rstrip())
        for quote in _BODY_QUOTE.findall(line):
            if body_quote is None:
                body_quote = quote
            elif quote == body_quote:
                body_quote = None
    return "\n" + "\n".join(kept).strip() + "\n"


def reread(database_url: str, empty_database_url: str) -> str:
    """The page of a database that was made from the page of another.

    PostgreSQL words some checks differently the second time (`(a AND b) AND c` becomes `a AND b AND c`) and then no
    more, so this is the wording that two databases can be compared in.
    """
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(page(database_url).encode())
    return page(empty_database_url)


def main() -> int:
    """Migrate a fresh database and write the page; returns the exit code."""
    with (
        service_kit.provide(os.environ) as services,
        service_kit.fresh_database(services.database_url) as url,
        service_kit.fresh_database(services.database_url) as empty_url,
    ):
        migrate.upgrade(url)
        text = reread(url, empty_url)
    before = PATH.read_text(encoding="utf-8") if PATH.exists() else ""
    PATH.write_text(text, encoding="utf-8")
    print(f"{PATH.name}: {'as it was' if text == before else 'written anew'}, {text.count(chr(10))} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
