"""The command line as a whole: help, version, and the border where errors become exit codes."""

import psycopg
import pytest
from pika.exceptions import AMQPConnectionError
from typer.testing import CliRunner

from producers.operator.cli import main
from producers.operator.services.errors import PortTaken, ServicesError
from worker.errors import BackroomError, Bug, InvalidInput, Unreachable


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("shop", "no shop 'x'; `backroom shops list` shows them"), 2),
        (Unreachable("database", "PostgreSQL does not answer"), 3),
        (ServicesError("RabbitMQ did not start"), 3),
        (PortTaken("RabbitMQ did not start"), 3),
        (psycopg.OperationalError("connection refused"), 3),
        (AMQPConnectionError(), 3),
        (BackroomError("other", "anything else of ours"), 1),
        (Bug("bug", "must not happen"), 1),
    ],
)
def test_each_error_has_its_exit_code(error: Exception, code: int) -> None:
    assert main.exit_code(error) == code


def test_our_errors_are_explained_by_their_own_message() -> None:
    assert main.explain(InvalidInput("shop", "no shop 'x'")) == "backroom: no shop 'x'"


def test_a_silent_server_is_named_with_the_way_out() -> None:
    assert "PostgreSQL does not answer" in main.explain(psycopg.OperationalError("connection refused"))
    assert "RabbitMQ does not answer" in main.explain(AMQPConnectionError())
    assert "backroom services up" in main.explain(AMQPConnectionError())


def test_the_version_is_that_of_the_distribution() -> None:
    answer = CliRunner().invoke(main.build(), ["--version"])

    assert (answer.exit_code, answer.stdout) == (0, "backroom 0.1.0\n")


def test_help_lists_every_group() -> None:
    answer = CliRunner().invoke(main.build(), ["--help"])

    assert answer.exit_code == 0
    assert "services" in answer.stdout


def test_wrong_usage_ends_with_2() -> None:
    assert CliRunner().invoke(main.build(), ["no-such-command"]).exit_code == 2
