"""What the doctor makes of what it sees."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet

from producers.operator.cli.doctor import (
    Finding,
    Level,
    check_clock,
    check_dead_letters,
    check_migrations,
    check_processes,
    check_server,
    check_shops,
    check_stored_secrets,
    exit_code,
)
from worker.database.checkup import Facts, Pause, Server, ShopGaps, StoredSecret
from worker.database.secrets import SecretBox

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HEALTHY = Facts(
    now=NOON,
    clock_shift=timedelta(),
    workers=2,
    pending_requests=0,
    oldest_pending_seconds=None,
    schedules=1,
    most_overdue_seconds=-30.0,
    open_dead_letters=0,
    unrouted=0,
    parked_versions=(),
    shops=(ShopGaps("my-shop", connected=True, webhook_secrets=1),),
    secrets=(),
    pauses=(),
)


def findings(facts: Facts) -> list[Finding]:
    return [check_clock(facts, NOON), *check_processes(facts), *check_shops(facts), *check_dead_letters(facts)]


def test_a_healthy_house_has_no_findings_but_good_ones() -> None:
    assert {finding.level for finding in findings(HEALTHY)} == {Level.OK}


@pytest.mark.parametrize(
    ("facts", "level", "subject", "words"),
    [
        (replace(HEALTHY, clock_shift=timedelta(hours=1)), Level.PROBLEM, "clock", "shifted by +3600 s"),
        (replace(HEALTHY, now=NOON + timedelta(seconds=9)), Level.WARNING, "clock", "9 s apart"),
        (replace(HEALTHY, workers=0), Level.PROBLEM, "workers", "`backroom worker`"),
        (replace(HEALTHY, most_overdue_seconds=61.0), Level.PROBLEM, "schedulers", "`backroom scheduler`"),
        (
            replace(HEALTHY, pending_requests=7, oldest_pending_seconds=90.0),
            Level.PROBLEM,
            "pending requests",
            "7 requests wait, the oldest for 90 s",
        ),
        (replace(HEALTHY, shops=()), Level.WARNING, "shops", "`backroom shops add`"),
        (
            replace(HEALTHY, shops=(ShopGaps("x", connected=False, webhook_secrets=1),)),
            Level.WARNING,
            "shop x",
            "no access token",
        ),
        (
            replace(HEALTHY, shops=(ShopGaps("x", connected=True, webhook_secrets=0),)),
            Level.WARNING,
            "shop x",
            "its webhooks are refused",
        ),
        (replace(HEALTHY, open_dead_letters=3), Level.WARNING, "dead letters", "3 open"),
        (replace(HEALTHY, unrouted=2), Level.WARNING, "routing", "dead-letters list --reason unrouted"),
        (
            replace(HEALTHY, parked_versions=("sync.requested.v2",)),
            Level.WARNING,
            "versions",
            "sync.requested.v2 wait for a worker that reads it",
        ),
        (
            replace(HEALTHY, pauses=(Pause("shop", "x", "token_refused", NOON),)),
            Level.WARNING,
            "shop x",
            "paused since 2026-11-24 12:00:00Z: token_refused",
        ),
    ],
)
def test_each_trouble_is_one_finding_with_the_way_out(facts: Facts, level: Level, subject: str, words: str) -> None:
    bad = [finding for finding in findings(facts) if finding.level is not Level.OK]

    assert [(finding.level, finding.subject) for finding in bad] == [(level, subject)]
    assert words in bad[0].text


@pytest.mark.parametrize(("major", "level"), [(14, Level.PROBLEM), (15, Level.OK), (18, Level.OK), (19, Level.WARNING)])
def test_servers_are_judged_by_their_version(major: int, level: Level) -> None:
    assert check_server(Server(major, f"{major}.1", "db:5432/backroom")).level is level


@pytest.mark.parametrize(
    ("current", "level", "words"),
    [
        ("0006", Level.OK, "up to date"),
        ("0005", Level.PROBLEM, "`backroom migrate`"),
        (None, Level.PROBLEM, "is empty"),
        ("0007", Level.WARNING, "update the program"),
    ],
)
def test_migrations_are_judged_in_both_directions(current: str | None, level: Level, words: str) -> None:
    finding = check_migrations(current, "0006")

    assert finding.level is level
    assert words in finding.text


def test_a_secret_of_a_lost_key_is_found() -> None:
    ours, lost = (SecretBox([Fernet.generate_key().decode()]) for _ in range(2))
    secrets = (StoredSecret("a", "", ours.encrypt("x")), StoredSecret("b", "2026", lost.encrypt("y")))

    (finding,) = check_stored_secrets(ours, secrets)

    assert (finding.level, finding.subject) == (Level.PROBLEM, "shop b")
    assert "its webhook secret 2026 was encrypted with a key" in finding.text


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([], 0),
        ([Finding(Level.WARNING, "x", "y")], 0),
        ([Finding(Level.PROBLEM, "x", "y")], 1),
        ([Finding(Level.PROBLEM, "x", "y"), Finding(Level.PROBLEM, "x", "y", unreachable=True)], 3),
    ],
)
def test_the_exit_code_tells_the_worst(found: list[Finding], code: int) -> None:
    assert exit_code(found) == code
