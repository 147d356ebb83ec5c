"""`backroom doctor`: looks at everything and says in plain words what is wrong and the way out.

Looking and judging are apart: the database tells `Facts`, and pure functions make findings of them.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import typer

from producers.client.connection import connection_parameters
from producers.operator.cli import output
from producers.operator.cli.context import load_settings
from producers.operator.cli.migrate import is_newer
from producers.operator.cli.topology import management_of
from worker.database import checkup
from worker.database.checkup import Facts, Server, StoredSecret
from worker.database.pool import Database
from worker.database.secrets import SecretBox
from worker.errors import BackroomError, InvalidInput, NeedsAttention, Unreachable
from worker.settings import Settings

_EXAMPLES = """[bold]Examples[/bold]

backroom doctor · one line per check, with the way out

backroom doctor --json · for a program or a monitor; exit code 0 all is well, 1 a problem, 3 a service is away
"""

OLDEST_POSTGRES = 15
NEWEST_POSTGRES = 18
"""What the SQL is proven on (design D17)."""
PENDING_SECONDS = 60.0
"""A relay takes a waiting request within seconds; after so long none does."""
OVERDUE_SECONDS = 60.0
"""A scheduler looks every second."""
CLOCKS_APART = timedelta(seconds=5)


class Level(StrEnum):
    """How a check went."""

    OK = "ok"
    WARNING = "warning"
    """It works; something is missing, or will hurt later."""
    PROBLEM = "problem"
    """Something does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the result."""

    level: Level
    subject: str
    text: str
    """What is so; for a warning or problem also the way out."""
    unreachable: bool = False
    """A service does not answer."""


_COLUMNS = (output.Column("level", ""), output.Column("subject", "WHAT"), output.Column("text", "FINDING"))


def register(app: typer.Typer) -> None:
    """Add `backroom doctor`."""
    app.command("doctor", epilog=_EXAMPLES)(doctor)


def doctor(as_json: output.JsonOption = False) -> None:
    """Check settings, services, queues, keys, processes, shops and ERP; changes nothing.

    Exit code 0 when there is no problem, 1 when there is one, 3 when a service cannot be reached.
    """
    settings = load_settings()
    findings = [*check_secret_key(settings), *_database(settings), *_broker(settings)]
    rows = [{"level": found.level, "subject": found.subject, "text": found.text} for found in findings]
    output.print_listing(rows, _COLUMNS, as_json=as_json)
    raise typer.Exit(exit_code(findings))


def exit_code(findings: list[Finding]) -> int:
    """3 when a service is away, 1 when something else does not work, else 0."""
    if any(found.unreachable for found in findings):
        return 3
    return 1 if any(found.level is Level.PROBLEM for found in findings) else 0


def check_secret_key(settings: Settings) -> Iterator[Finding]:
    """Is there a key, and is it one?"""
    try:
        _box(settings)
    except InvalidInput as error:
        yield Finding(Level.PROBLEM, "secret key", error.message)
    else:
        count = len(settings.secret_key)
        yield Finding(Level.OK, "secret key", "usable" if count == 1 else f"{count} keys, the first one encrypts")


def check_server(server: Server) -> Finding:
    """Is PostgreSQL of a version that the SQL is proven on?"""
    who = f"PostgreSQL {server.version} at {server.address}"
    if server.major < OLDEST_POSTGRES:
        text = f"{who} is too old: use {OLDEST_POSTGRES} to {NEWEST_POSTGRES}"
        return Finding(Level.PROBLEM, "database", text)
    if server.major > NEWEST_POSTGRES:
        text = f"{who} answers; proven are {OLDEST_POSTGRES} to {NEWEST_POSTGRES}"
        return Finding(Level.WARNING, "database", text)
    return Finding(Level.OK, "database", f"{who} answers")


def check_migrations(current: str | None, newest: str | None) -> Finding:
    """Is the database of this program's version?"""
    if current == newest:
        return Finding(Level.OK, "migrations", f"up to date (version {newest})")
    if is_newer(current, newest):
        text = f"the database is at version {current}, this program knows {newest}: update the program"
        return Finding(Level.WARNING, "migrations", text)
    state = "is empty" if current is None else f"is at version {current}"
    return Finding(Level.PROBLEM, "migrations", f"the database {state}, needed is {newest}: run `backroom migrate`")


def check_clock(facts: Facts, here: datetime) -> Finding:
    """Does the house's clock show the real time?"""
    if facts.clock_shift:
        seconds = facts.clock_shift.total_seconds()
        text = f"shifted by {seconds:+g} s, as only tests do: set backroom.clock_offset.shift to 0"
        return Finding(Level.PROBLEM, "clock", text)
    if abs(facts.now - here) > CLOCKS_APART:
        apart = abs(facts.now - here).total_seconds()
        text = f"the database's clock and this machine's are {apart:.0f} s apart: have both follow a time server"
        return Finding(Level.WARNING, "clock", text)
    return Finding(Level.OK, "clock", "the database's clock is not shifted")


def check_processes(facts: Facts) -> Iterator[Finding]:
    """Do workers and schedulers live, as far as the database can tell?"""
    if facts.workers:
        yield Finding(Level.OK, "workers", f"{facts.workers} alive")
    else:
        yield Finding(Level.PROBLEM, "workers", "none is alive, jobs wait: start `backroom worker`, or `backroom up`")
    overdue = facts.most_overdue_seconds
    if overdue is not None and overdue > OVERDUE_SECONDS:
        text = f"a schedule is overdue by {overdue:.0f} s: start `backroom scheduler`, or `backroom up`"
        yield Finding(Level.PROBLEM, "schedulers", text)
    elif facts.schedules:
        yield Finding(Level.OK, "schedulers", f"nothing is overdue ({facts.schedules} active schedules)")
    waits = facts.oldest_pending_seconds
    if waits is not None and waits > PENDING_SECONDS:
        text = (
            f"{facts.pending_requests} requests wait, the oldest for {waits:.0f} s: workers relay them; is one alive, "
            "and can it reach RabbitMQ?"
        )
        yield Finding(Level.PROBLEM, "pending requests", text)
    else:
        yield Finding(Level.OK, "pending requests", f"{facts.pending_requests} wait for a worker")


def check_shops(facts: Facts) -> Iterator[Finding]:
    """Has every enabled shop what it needs, and does anything stand still?"""
    if not facts.shops:
        yield Finding(Level.WARNING, "shops", "no shop is enabled: add one with `backroom shops add`")
    for gap in facts.shops:
        if not gap.connected:
            text = f"no access token: `backroom shops set {gap.shop} --access-token-file FILE`"
            yield Finding(Level.WARNING, f"shop {gap.shop}", text)
        if not gap.webhook_secrets:
            way_out = f"`backroom shops set {gap.shop} --webhook-secret-file FILE`"
            text = f"no webhook secret, its webhooks are refused: {way_out}"
            yield Finding(Level.WARNING, f"shop {gap.shop}", text)
        if gap.connected and gap.webhook_secrets:
            yield Finding(Level.OK, f"shop {gap.shop}", f"has credentials; `backroom shops test {gap.shop}` tries them")
    for pause in facts.pauses:
        subject = f"{pause.kind} {pause.name}".strip()
        yield Finding(Level.WARNING, subject, f"paused since {output.as_text(pause.since)}: {pause.cause}")


def check_dead_letters(facts: Facts) -> Iterator[Finding]:
    """Was anything given up?"""
    if facts.open_dead_letters:
        text = f"{facts.open_dead_letters} open: `backroom dead-letters list`"
        yield Finding(Level.WARNING, "dead letters", text)
    if facts.unrouted:
        text = (
            f"{facts.unrouted} unrouted: `backroom dead-letters list --reason unrouted` shows whose routing key names "
            "no category; tell the sender, and replay them"
        )
        yield Finding(Level.WARNING, "routing", text)
    if facts.parked_versions:
        text = (
            f"requests of {', '.join(facts.parked_versions)} wait for a worker that reads it: update the workers; "
            "they are replayed by themselves"
        )
        yield Finding(Level.WARNING, "versions", text)


def check_stored_secrets(box: SecretBox, secrets: tuple[StoredSecret, ...]) -> Iterator[Finding]:
    """Can everything that is stored be read with the keys of today?"""
    for stored in secrets:
        try:
            box.decrypt(stored.secret)
        except InvalidInput:
            what = f"webhook secret {stored.id}" if stored.id else "access token"
            text = (
                f"its {what} was encrypted with a key that BACKROOM_SECRET_KEY does not hold: add the old key behind "
                f"the new one, or set it again with `backroom shops set {stored.shop}`"
            )
            yield Finding(Level.PROBLEM, f"shop {stored.shop}", text)


def _database(settings: Settings) -> Iterator[Finding]:
    from worker.database import migrate  # here: Alembic and SQLAlchemy take most of a second to load

    try:
        with Database(settings.database_url, application_name="backroom/doctor", max_connections=2) as database:
            with database.transaction() as connection:
                yield check_server(checkup.server(connection))
            migrations = check_migrations(migrate.current_revision(settings.database_url), migrate.newest_revision())
            yield migrations
            if migrations.level is Level.PROBLEM:
                return  # what follows would look for tables that are not there
            with database.transaction() as connection:
                facts = checkup.facts(connection)
            yield check_clock(facts, datetime.now(UTC))
            yield from check_processes(facts)
            yield from check_shops(facts)
            yield from check_dead_letters(facts)
            with suppress(InvalidInput):  # told already
                yield from check_stored_secrets(_box(settings), facts.secrets)
            yield _erp(database)
    except Unreachable as error:
        yield Finding(Level.PROBLEM, "database", error.message, unreachable=True)


def _erp(database: Database) -> Finding:
    from worker import main as workshop  # here: the whole workshop takes half a second to load

    try:
        company = workshop.embedded_erp(database).company()
    except NeedsAttention as error:
        return Finding(Level.WARNING, "ERP", error.message)
    return Finding(Level.OK, "ERP", f"company {company.name} ({company.currency}, {company.country})")


def _broker(settings: Settings) -> Iterator[Finding]:
    from worker.broker import topology  # here: it loads the AMQP and HTTP clients

    if settings.broker_url is None:
        yield Finding(Level.OK, "broker", "embedded: there is no RabbitMQ, PostgreSQL hands out the jobs")
        return
    try:
        with management_of(settings) as management:
            differences = topology.check(settings.broker_url, management)
            left_over = topology.left_over(settings.broker_url)
            version = "" if management is None else f" {management.version()}"
    except Unreachable as error:
        yield Finding(Level.PROBLEM, "broker", error.message, unreachable=True)
        return
    except BackroomError as error:
        yield Finding(Level.PROBLEM, "broker", error.message)
        return
    where = ", ".join(f"{node.host}:{node.port}" for node in connection_parameters(settings.broker_url, "doctor"))
    yield Finding(Level.OK, "broker", f"RabbitMQ{version} at {where} answers")
    for difference in differences:
        level = Level.PROBLEM if difference.severity is topology.Severity.ERROR else Level.WARNING
        yield Finding(level, difference.subject, difference.problem)
    for queue, count in left_over.items():
        text = f"{count} messages wait there; a worker makes dead letters of them: start `backroom worker`"
        yield Finding(Level.WARNING, f"queue {queue}", text)
    if not differences:
        yield Finding(Level.OK, "topology", "exchanges, queues and policies are as they must be")


def _box(settings: Settings) -> SecretBox:
    return SecretBox([key.get_secret_value() for key in settings.secret_key])
