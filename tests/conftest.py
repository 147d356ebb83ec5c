"""Fixtures for every test. Nothing here starts before a test asks for it."""

import os
from collections.abc import Iterator

import pytest

from tests.support import services as service_kit
from tests.support.services import Services


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """A running RabbitMQ and PostgreSQL; see `tests.support.services`."""
    with service_kit.provide(os.environ) as provided:
        yield provided


@pytest.fixture(scope="session")
def migrated_template(services: Services) -> Iterator[str]:
    """The name of a database with all migrations applied, from which each test gets a copy."""
    from worker.database import migrate  # here, so that unit tests do not load the migration engine

    with service_kit.fresh_database(services.database_url) as url:
        migrate.upgrade(url)
        yield service_kit.name_of(url)


@pytest.fixture
def database_url(services: Services, migrated_template: str) -> Iterator[str]:
    """A migrated database for this test alone; real commits, nothing to clean up."""
    with service_kit.fresh_database(services.database_url, migrated_template) as url:
        yield url


@pytest.fixture
def empty_database_url(services: Services) -> Iterator[str]:
    """A database without any schema of ours, for this test alone."""
    with service_kit.fresh_database(services.database_url) as url:
        yield url


@pytest.fixture
def amqp_url(services: Services) -> Iterator[str]:
    """A virtual host without queues, for this test alone."""
    with service_kit.fresh_virtual_host(services) as url:
        yield url


@pytest.fixture
def management_url(services: Services) -> str:
    """The management API of the broker behind `amqp_url`."""
    return services.management_url


@pytest.fixture(scope="module")
def module_amqp_url(services: Services) -> Iterator[str]:
    """A virtual host shared by the tests of one module."""
    with service_kit.fresh_virtual_host(services) as url:
        yield url
