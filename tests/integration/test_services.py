"""`backroom services` with real servers, in a checkout of its own beside the one the other tests use."""

import json
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pika
import psycopg
import pytest
from pika.exceptions import AMQPConnectionError

from producers.operator.services import ports, process, runner, state
from producers.operator.services.runner import Health
from producers.operator.services.state import ServicesState
from tests.support import processes, wait
from tests.support.services import Services


def quiet(_: str) -> None:
    """Takes progress that no test looks at."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A checkout of its own. Its services run when a test begins, and every test leaves them so."""
    root = tmp_path_factory.mktemp("checkout")
    try:
        runner.up(root, quiet)
        yield root
    finally:
        runner.down(root, quiet, delete_data=True)


def test_both_services_accept_the_recorded_addresses(checkout: Path) -> None:
    services = known(checkout)

    with psycopg.connect(services.database_url) as database:
        assert database.execute("SELECT current_setting('fsync')").fetchone() == ("on",)
    pika.BlockingConnection(pika.URLParameters(services.amqp_url)).close()
    assert [(one.service, one.health) for one in runner.status(checkout)] == [
        ("PostgreSQL", Health.RUNNING),
        ("RabbitMQ", Health.RUNNING),
    ]


def test_a_second_up_changes_nothing_and_is_quick(checkout: Path) -> None:
    before = known(checkout)
    begun = time.monotonic()

    after = runner.up(checkout, quiet)

    assert after == before
    assert time.monotonic() - begun < 1


def test_nobody_gets_in_without_the_generated_passwords(checkout: Path) -> None:
    services = known(checkout)

    for password in ("", "backroom", "wrong"):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(services.database_url, password=password)
    guest = pika.URLParameters(f"amqp://guest:guest@127.0.0.1:{services.rabbitmq.port}/%2F")
    with pytest.raises(AMQPConnectionError):
        pika.BlockingConnection(guest)


def test_the_file_with_the_passwords_is_closed_to_others(checkout: Path) -> None:
    path = checkout / ".backroom" / "services.json"

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["state"] == "up"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, which only Linux has")
def test_every_port_listens_on_loopback_only(checkout: Path) -> None:
    broker, database = known(checkout).rabbitmq, known(checkout).postgres
    wanted = {broker.port, broker.distribution_port, broker.epmd_port, database.port, broker.management_port}

    listening = listening_addresses(wanted)

    assert {port for _, port in listening} == wanted
    assert {address for address, _ in listening} <= {LOOPBACK_4, LOOPBACK_6}


def test_a_restarted_broker_keeps_its_address_and_durable_queues(checkout: Path) -> None:
    before = known(checkout)
    declare_durable_queue(before.amqp_url, "kept")

    after = runner.restart_rabbitmq(checkout, quiet)

    assert after.amqp_url == before.amqp_url
    assert after.rabbitmq.server != before.rabbitmq.server
    assert after.postgres == before.postgres
    assert queue_exists(after.amqp_url, "kept")


def test_after_a_crash_both_come_back_with_their_data(checkout: Path) -> None:
    before = known(checkout)
    declare_durable_queue(before.amqp_url, "survivor")
    with psycopg.connect(before.database_url) as database:
        database.execute("CREATE TABLE survivor AS SELECT 1 AS number")

    crash(before)
    assert {one.health for one in runner.status(checkout)} == {Health.STOPPED}
    after = runner.up(checkout, quiet)

    assert after.secret_key == before.secret_key
    assert queue_exists(after.amqp_url, "survivor")
    with psycopg.connect(after.database_url) as database:
        assert database.execute("SELECT number FROM survivor").fetchone() == (1,)


def test_a_service_whose_port_was_taken_meanwhile_moves_to_another(checkout: Path) -> None:
    before = known(checkout)
    runner.stop_postgres(checkout, quiet)

    with socket.create_server((ports.LOOPBACK, before.postgres.port)):
        after = runner.up(checkout, quiet)

    assert after.postgres.port != before.postgres.port
    assert after.postgres.directory == before.postgres.directory
    psycopg.connect(after.database_url).close()


def test_down_ends_the_services_of_its_own_checkout_alone(checkout: Path, services: Services) -> None:
    ours = known(checkout)

    runner.down(checkout, quiet)

    for identity in (ours.postgres.server, ours.rabbitmq.server, ours.rabbitmq.epmd):
        assert not process.is_alive(identity)
    psycopg.connect(services.database_url).close()
    pika.BlockingConnection(pika.URLParameters(services.amqp_url)).close()
    runner.up(checkout, quiet)


def test_the_command_tells_by_its_exit_code_whether_both_run(checkout: Path, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"]}

    running = processes.run_backroom("services", "status", "--json", environment=environment, directory=checkout)
    absent = processes.run_backroom("services", "status", "--json", environment=environment, directory=tmp_path)

    assert running.returncode == 0, running.stderr
    assert [one["health"] for one in json.loads(running.stdout)] == ["running", "running"]
    assert absent.returncode == 3, absent.stderr
    assert [one["health"] for one in json.loads(absent.stdout)] == ["absent", "absent"]


def known(checkout: Path) -> ServicesState:
    """What is recorded for the checkout."""
    services = state.load(checkout)
    assert services is not None
    return services


def crash(services: ServicesState) -> None:
    """Both servers die at once, without a word."""
    for identity in (services.postgres.server, services.rabbitmq.server):
        assert identity is not None
        os.kill(identity.pid, signal.SIGKILL)
        wait.until(partial(_is_gone, identity), 10, "the killed server is gone")


def _is_gone(identity: process.Identity) -> bool:
    return not process.is_alive(identity)


def declare_durable_queue(amqp_url: str, name: str) -> None:
    """Make a queue that must survive the broker."""
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    connection.channel().queue_declare(name, durable=True)
    connection.close()


def queue_exists(amqp_url: str, name: str) -> bool:
    """Whether the broker knows the queue."""
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    connection.channel().queue_declare(name, passive=True)  # closes the channel with 404 if unknown
    connection.close()
    return True


LOOPBACK_4 = "0100007F"
LOOPBACK_6 = "00000000000000000000000001000000"
_LISTENING = "0A"


def listening_addresses(wanted: set[int]) -> set[tuple[str, int]]:
    """(address as the kernel writes it, port) of every listening socket on the wanted ports."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, status, *_ = line.split()
            address, _, port = local.partition(":")
            if status == _LISTENING and int(port, 16) in wanted:
                found.add((address, int(port, 16)))
    return found


def test_embedded_services_are_postgresql_alone_and_take_rabbitmq_in_later(tmp_path: Path) -> None:
    def backroom(*arguments: str) -> str:
        done = processes.run_backroom("services", *arguments, environment=dict(os.environ), directory=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (tmp_path / "pyproject.toml").touch()
    try:
        backroom("up", "--embedded")
        alone = state.load_embedded(tmp_path)
        assert alone is not None
        with psycopg.connect(alone.database_url) as database:
            database.execute("CREATE TABLE kept AS SELECT 1 AS n")
        (only,) = json.loads(backroom("status", "--json"))
        assert (only["service"], only["health"]) == ("PostgreSQL", "running")

        backroom("up")

        both = known(tmp_path)
        assert both.secret_key == alone.secret_key
        with psycopg.connect(both.database_url) as database:
            assert database.execute("SELECT n FROM kept").fetchone() == (1,)
        pika.BlockingConnection(pika.URLParameters(both.amqp_url)).close()
        refused = processes.run_backroom(
            "services", "up", "--embedded", environment=dict(os.environ), directory=tmp_path
        )
        assert refused.returncode == 3
        assert "backroom up --embedded" in refused.stderr
    finally:
        backroom("down", "--delete-data")
