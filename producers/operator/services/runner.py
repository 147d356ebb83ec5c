"""Start, stop and look at the private services of one checkout. Read this first.

`up` finds a means (local programs, else apt, else Docker Compose), starts what does not run on the data
that is there, and writes `.backroom/services.json`. A second `up` finds both running and returns at once.
Only processes recorded in that file, and still the same processes, are ever signalled.
"""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import TypeVar

from cryptography.fernet import Fernet

from producers.operator.services import binaries, compose, embedded, installation, ports, postgres, rabbitmq, state
from producers.operator.services.binaries import PostgresBinaries, RabbitmqBinaries
from producers.operator.services.errors import NotAvailable, ServicesError
from producers.operator.services.ports import on_free_ports
from producers.operator.services.state import Means, PostgresState, RabbitmqState, ServicesState
from producers.operator.services.waiting import Report

_State = TypeVar("_State", PostgresState, RabbitmqState)


class Health(StrEnum):
    """How a service is, seen from outside."""

    RUNNING = "running"
    """It answers and accepts our password."""

    NOT_ANSWERING = "not answering"
    """Our process lives but does not answer: starting, stopping, or stuck. Its log tells."""

    STOPPED = "stopped"
    """It is not running; its data is kept."""

    ABSENT = "absent"
    """It never ran in this checkout, or its data was deleted."""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One line of `backroom services status`."""

    service: str
    health: Health
    address: str | None
    """host:port; None while absent."""

    directory: Path | None
    """Where its data and log lie; None while absent."""

    version: str | None
    """Of the server; None while absent, and until it answered once."""

    pid: int | None
    """None unless a process of ours runs it."""


def up(root: Path, report: Report) -> ServicesState:
    """Have both services of the checkout at ``root`` running, and return how to reach them.

    Raises NotAvailable when a server is neither here nor can be installed, ServicesError when it does not start.
    """
    with state.locked(root):
        known = state.load(root)
        if known is not None and _both_run(known):
            return known
        means, installed = _find_means(known, report)
        services = known or _plan(root, means)
        if (alone := state.load_embedded(root)) is not None:  # RabbitMQ joins a PostgreSQL that ran without it
            services = replace(services, secret_key=alone.secret_key, postgres=alone.postgres)
        return _start(root, services, installed, report)


def down(root: Path, report: Report, *, delete_data: bool = False) -> None:
    """Stop what runs. ``delete_data`` removes the databases, queues and the secret key for good."""
    with state.locked(root):
        services = state.load(root)
        if services is None:
            embedded.down(root, report, delete_data=delete_data)
            return
        services = _stop(root, services, report)
        if delete_data:
            _delete(root, services)
        report(f"PostgreSQL and RabbitMQ are stopped; their data is {'deleted' if delete_data else 'kept'}")


def are_running(root: Path) -> bool:
    """Whether `up` would have nothing to do."""
    known = state.load(root)
    return known is not None and _both_run(known)


def status(root: Path) -> list[ServiceStatus]:
    """How each service is; asks the services themselves and changes nothing."""
    services = state.load(root)
    if (alone := state.load_embedded(root)) is not None:
        return [_status("PostgreSQL", alone.postgres, postgres.answers(alone.postgres), postgres.is_running)]
    if services is None:
        return [ServiceStatus(name, Health.ABSENT, None, None, None, None) for name in ("PostgreSQL", "RabbitMQ")]
    return [
        _status("PostgreSQL", services.postgres, postgres.answers(services.postgres), postgres.is_running),
        _status("RabbitMQ", services.rabbitmq, rabbitmq.answers(services.rabbitmq), rabbitmq.is_running),
    ]


def stop_postgres(root: Path, report: Report) -> None:
    """Stop PostgreSQL alone, as an outage would; `up` brings it back on the same port."""
    with state.locked(root):
        services = _known(root)
        if services.means is Means.COMPOSE:
            compose.stop(state.directory_of(root), ["postgres"])
        else:
            state.save(root, replace(services, postgres=postgres.stop(services.postgres)), up=False)
        report("PostgreSQL stopped")


def stop_rabbitmq(root: Path, report: Report) -> None:
    """Stop RabbitMQ alone, as an outage would; `up` brings it back on the same port."""
    with state.locked(root):
        services = _known(root)
        if services.means is Means.COMPOSE:
            compose.stop(state.directory_of(root), ["rabbitmq"])
        else:
            state.save(root, replace(services, rabbitmq=rabbitmq.stop(services.rabbitmq)), up=False)
        report("RabbitMQ stopped")


def restart_postgres(root: Path, report: Report) -> ServicesState:
    """Stop and start PostgreSQL on the same data and, if nobody took it meanwhile, the same port."""
    stop_postgres(root, report)
    return up(root, report)


def restart_rabbitmq(root: Path, report: Report) -> ServicesState:
    """Stop and start RabbitMQ on the same data and, if nobody took it meanwhile, the same port."""
    stop_rabbitmq(root, report)
    return up(root, report)


@dataclass(frozen=True, slots=True)
class _Installed:
    """The servers of this machine; without meaning where containers carry the services."""

    postgres: list[PostgresBinaries]
    rabbitmq: RabbitmqBinaries | None


def _find_means(known: ServicesState | None, report: Report) -> tuple[Means, _Installed]:
    """What is to carry the services: what did before, else local programs, else apt, else containers."""
    installed = _look()
    if known is not None and known.means is Means.COMPOSE:
        return Means.COMPOSE, installed
    missing = _missing(installed)
    trouble = ""
    if missing and installation.can_install():
        try:
            installation.install(missing, report)
        except ServicesError as error:
            trouble = f" {error}"
        installed = _look()
        missing = _missing(installed)
    if not missing:
        return Means.LOCAL, installed
    if known is None and compose.is_available():
        return Means.COMPOSE, installed
    raise NotAvailable(
        f"not found on this machine: {' and '.join(missing)} "
        f"(PostgreSQL {binaries.OLDEST_POSTGRES} or newer, RabbitMQ 3.10 or newer).{trouble} "
        f"Install them (Debian, Ubuntu: `sudo apt-get install {' '.join(missing)}`), or start a Docker "
        "engine, or point BACKROOM_DATABASE_URL and BACKROOM_AMQP_URL at servers of yours, or do without RabbitMQ: "
        "`backroom services up --embedded`"
    )


def _look() -> _Installed:
    return _Installed(binaries.find_postgres() + binaries.find_bundled_postgres(), binaries.find_rabbitmq())


def _missing(installed: _Installed) -> list[str]:
    """The Debian packages that would bring what is not here."""
    wanted = {"postgresql": bool(installed.postgres), "rabbitmq-server": installed.rabbitmq is not None}
    return [package for package, found in wanted.items() if not found]


def _plan(root: Path, means: Means) -> ServicesState:
    directory = state.directory_of(root)
    database, broker, distribution, epmd, management = ports.choose(5, random.SystemRandom())
    return ServicesState(
        means=means,
        secret_key=Fernet.generate_key().decode(),
        postgres=postgres.plan(directory / "postgres", database),
        rabbitmq=rabbitmq.plan(directory / "rabbitmq", broker, distribution, epmd, management),
    )


class _Record:
    """The state while both services start at once: every change is on disk before the next step."""

    def __init__(self, root: Path, services: ServicesState) -> None:
        self._root = root
        self._lock = Lock()
        self.services = services

    def postgres(self, now: PostgresState) -> None:
        with self._lock:
            self.services = replace(self.services, postgres=now)
            self._save()

    def rabbitmq(self, now: RabbitmqState) -> None:
        with self._lock:
            self.services = replace(self.services, rabbitmq=now)
            self._save()

    def _save(self) -> None:
        state.save(self._root, self.services, up=_both_live(self.services))


def _start(root: Path, services: ServicesState, installed: _Installed, report: Report) -> ServicesState:
    if services.means is Means.COMPOSE:
        services = compose.start(state.directory_of(root), services, ["postgres", "rabbitmq"], report)
        state.save(root, services, up=True)
        return services
    state.save(root, services, up=False)  # the passwords the data is made with must outlive a crash
    record = _Record(root, services)
    with ThreadPoolExecutor(max_workers=2) as both:
        database = both.submit(_start_postgres, services.postgres, installed, record, report)
        broker = both.submit(_start_rabbitmq, services.rabbitmq, installed, record, report)
    database.result()
    broker.result()
    return record.services


def _start_postgres(planned: PostgresState, installed: _Installed, record: _Record, report: Report) -> None:
    def begin(attempt: PostgresState) -> None:
        postgres.start(attempt, installed.postgres, record.postgres, report)

    def elsewhere(attempt: PostgresState) -> PostgresState:
        return replace(attempt, port=ports.choose(1, random.SystemRandom())[0])

    if postgres.is_running(planned):
        return begin(planned)
    return on_free_ports(planned, (planned.port,), begin, elsewhere)


def _start_rabbitmq(planned: RabbitmqState, installed: _Installed, record: _Record, report: Report) -> None:
    found = installed.rabbitmq
    if found is None:
        raise ServicesError("RabbitMQ's programs vanished while it was being started; run the command again")

    def begin(attempt: RabbitmqState) -> None:
        rabbitmq.start(attempt, found, record.rabbitmq, report)

    def elsewhere(attempt: RabbitmqState) -> RabbitmqState:
        broker, distribution, epmd, management = ports.choose(4, random.SystemRandom())
        return replace(attempt, port=broker, distribution_port=distribution, epmd_port=epmd, management_port=management)

    if rabbitmq.is_running(planned):
        return begin(planned)
    stopped = rabbitmq.stop(planned)  # a port mapper that outlived its node
    wanted = (stopped.port, stopped.distribution_port, stopped.epmd_port, stopped.management_port)
    return on_free_ports(stopped, wanted, begin, elsewhere)


def _stop(root: Path, services: ServicesState, report: Report) -> ServicesState:
    if services.means is Means.COMPOSE:
        compose.stop(state.directory_of(root), ["postgres", "rabbitmq"])
    else:
        report("stopping PostgreSQL and RabbitMQ …")
        with ThreadPoolExecutor(max_workers=2) as both:
            database = both.submit(postgres.stop, services.postgres)
            broker = both.submit(rabbitmq.stop, services.rabbitmq)
        services = replace(services, postgres=database.result(), rabbitmq=broker.result())
    state.save(root, services, up=False)
    return services


def _delete(root: Path, services: ServicesState) -> None:
    if services.means is Means.COMPOSE:
        compose.delete(state.directory_of(root))
    postgres.delete(services.postgres)
    rabbitmq.delete(services.rabbitmq)
    state.forget(root)


def _status(
    name: str,
    service: _State,
    answer: str | None,
    is_running: Callable[[_State], bool],
) -> ServiceStatus:
    if answer is not None:
        health = Health.RUNNING
    elif is_running(service):
        health = Health.NOT_ANSWERING
    else:
        health = Health.STOPPED
    return ServiceStatus(
        service=name,
        health=health,
        address=f"{ports.LOOPBACK}:{service.port}",
        directory=service.directory,
        version=answer or service.version or None,
        pid=service.server.pid if service.server is not None and is_running(service) else None,
    )


def _both_run(services: ServicesState) -> bool:
    """Quick: our processes live and their ports accept (of containers only the latter can be seen)."""
    listening = all(map(ports.accepts_connections, (services.postgres.port, services.rabbitmq.port)))
    return listening and (services.means is Means.COMPOSE or _both_live(services))


def _both_live(services: ServicesState) -> bool:
    return postgres.is_running(services.postgres) and rabbitmq.is_running(services.rabbitmq)


def _known(root: Path) -> ServicesState:
    services = state.load(root)
    if services is None:
        raise ServicesError(f"no services were started in {root}; `backroom services up` starts them")
    return services
