"""Waiting for a service to come up."""

from collections.abc import Callable
from pathlib import Path

import pytest

from producers.operator.services import waiting
from producers.operator.services.errors import PortTaken, ServicesError


def test_it_returns_as_soon_as_the_service_answers_and_says_so(tmp_path: Path) -> None:
    answers = iter([False, True])
    told: list[str] = []

    wait(tmp_path, ready=lambda: next(answers), report=told.append)

    assert told[0] == "starting the service …"
    assert told[-1].startswith("the service is up after 0.")


def test_a_service_that_died_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("reading settings\nunknown setting: speed\n")

    with pytest.raises(ServicesError, match="ended while starting") as failure:
        wait(tmp_path, alive=lambda: False)

    assert "unknown setting: speed" in failure.value.message
    assert not isinstance(failure.value, PortTaken)


@pytest.mark.parametrize(
    "line",
    [
        'could not bind IPv4 address "127.0.0.1": Address already in use',  # PostgreSQL
        "Failed to start Ranch listener: {{listen_on_error,…},eaddrinuse}",  # RabbitMQ
    ],
)
def test_a_port_that_somebody_took_is_told_apart(tmp_path: Path, line: str) -> None:
    (tmp_path / "log").write_text(line)

    with pytest.raises(PortTaken):
        wait(tmp_path, alive=lambda: False)


def test_another_program_on_the_port_does_not_pass_for_the_dead_service(tmp_path: Path) -> None:
    with pytest.raises(ServicesError, match="ended while starting"):
        wait(tmp_path, alive=lambda: False, ready=lambda: True)


def test_a_service_that_never_answers_is_given_up_at_the_deadline(tmp_path: Path) -> None:
    with pytest.raises(ServicesError, match="did not answer within 0 s"):
        wait(tmp_path, deadline_seconds=0)


def wait(
    directory: Path,
    *,
    ready: Callable[[], bool] = lambda: False,
    alive: Callable[[], bool] = lambda: True,
    report: waiting.Report = lambda _: None,
    deadline_seconds: float = 10,
) -> None:
    """`until_ready` for a service that by default lives and does not answer."""
    waiting.until_ready(
        "the service",
        ready=ready,
        alive=alive,
        log=directory / "log",
        deadline_seconds=deadline_seconds,
        report=report,
    )
