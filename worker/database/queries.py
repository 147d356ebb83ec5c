"""Loads the named SQL of `worker/database/sql/`: one file per topic, `-- name: …` before each query.

Parameters are written `:name`; a literal percent sign is doubled.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import aiosql

SQL_FOLDER: Final = Path(__file__).parent / "sql"


@cache
def load(topic: str) -> Mapping[str, bytes]:
    """The queries of `sql/<topic>.sql` by name, ready for `Connection.execute` with a mapping."""
    queries = aiosql.from_path(SQL_FOLDER / f"{topic}.sql", "psycopg", mandatory_parameters=False)
    names = [name for name in queries.available_queries if not name.endswith("_cursor")]
    return {name: str(getattr(queries, name).sql).encode() for name in names}
