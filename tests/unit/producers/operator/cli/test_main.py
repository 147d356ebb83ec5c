"""The command line as a whole: help, version, and the border where errors become exit codes."""

import psycopg
import pytest
from pika.exceptions import AMQPConnectionError
from typer.main import get_group
from typer.testing import CliRunner

from producers.operator.cli import main
from producers.operator.cli.main import COMMANDS, Part
from producers.operator.services.errors import PortTaken, ServicesError
from schemas.catalogue import UnknownReport
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
        (UnknownReport("sync_everything"), 2),
        (psycopg.errors.UndefinedTable('relation "backroom.job" does not exist'), 1),
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


def test_an_unknown_report_is_answered_with_those_that_exist() -> None:
    assert "known reports: sync_orders (30104)" in main.explain(UnknownReport("sync_everything"))


def test_a_database_without_tables_is_to_be_migrated() -> None:
    error = psycopg.errors.UndefinedTable('relation "backroom.job" does not exist\nLINE 1: SELECT')

    assert main.explain(error).endswith('run `backroom migrate` (relation "backroom.job" does not exist)')


def test_help_lists_every_command() -> None:
    answer = CliRunner().invoke(main.build(), ["--help"])

    assert answer.exit_code == 0
    words = answer.stdout.split()
    assert [name for part in COMMANDS for name in part.commands if name not in words] == []


@pytest.mark.parametrize("part", COMMANDS, ids=lambda part: part.module)
def test_a_part_adds_exactly_the_commands_it_is_loaded_for(part: Part) -> None:
    loaded = get_group(main.build(part.commands[:1]))

    assert sorted(loaded.commands) == sorted(part.commands)


@pytest.mark.parametrize("name", [name for part in COMMANDS for name in part.commands])
def test_every_command_explains_itself_with_examples(name: str) -> None:
    answer = CliRunner().invoke(main.build([name]), [name, "--help"])

    assert answer.exit_code == 0
    assert f"backroom {name}" in answer.stdout.partition("Examples")[2]


def test_wrong_usage_ends_with_2() -> None:
    assert CliRunner().invoke(main.build(), ["no-such-command"]).exit_code == 2
