"""One whole installation per test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installation import Installation, installed
from tests.support.services import Services


@pytest.fixture
def house(services: Services, database_url: str, amqp_url: str, tmp_path: Path) -> Iterator[Installation]:
    """A seeded installation without processes; the ledger's invariants hold at the end."""
    with installed(database_url, amqp_url, services.secret_key, tmp_path) as installation:
        yield installation
    assert installation.broken_invariants() == {}
