"""A lab per test; with services of its own where the test stops them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from producers.operator.services import runner
from tests.faults.lab import Lab, prepare
from tests.support import services as service_kit
from tests.support.ledger_kit import broken_invariants
from tests.support.services import Services
from worker.database import migrate


@pytest.fixture
def lab(services: Services, database_url: str, amqp_url: str, tmp_path: Path) -> Iterator[Lab]:
    """On the shared services; the ledger's invariants hold at the end."""
    made = Lab(database_url, amqp_url, services.secret_key, tmp_path)
    prepare(made)
    yield made
    assert broken_invariants(database_url) == {}


@pytest.fixture(scope="package")
def own_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A RabbitMQ and PostgreSQL that the tests of the lab may stop; the next one finds them running again."""
    root = tmp_path_factory.mktemp("services")
    runner.up(root, lambda _: None)
    try:
        yield root
    finally:
        runner.down(root, lambda _: None, delete_data=True)


@pytest.fixture
def own_lab(own_services: Path, tmp_path: Path) -> Iterator[Lab]:
    """On services of its own; both run again and the ledger's invariants hold at the end."""
    services = runner.up(own_services, lambda _: None)
    with service_kit.fresh_database(services.database_url) as database_url:
        migrate.upgrade(database_url)
        made = Lab(database_url, services.amqp_url, services.secret_key, tmp_path, own_services)
        prepare(made)
        try:
            yield made
        finally:
            runner.up(own_services, lambda _: None)
        assert broken_invariants(database_url) == {}
