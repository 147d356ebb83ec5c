"""Finding installed servers."""

import pytest

from producers.operator.services import binaries


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", (15, 18)),
        ("postgres (PostgreSQL) 18.1\n", (18, 1)),
        ("postgres (PostgreSQL) 19devel\n", (19,)),
        ("command not found\n", None),
    ],
)
def test_the_version_of_a_server_is_read_as_numbers(answer: str, version: tuple[int, ...] | None) -> None:
    assert binaries.parse_postgres_version(answer) == version


def test_found_servers_are_recent_enough_and_newest_first() -> None:
    found = binaries.find_postgres()

    assert all(one.major >= binaries.OLDEST_POSTGRES for one in found)
    assert found == sorted(found, key=lambda one: one.version, reverse=True)
