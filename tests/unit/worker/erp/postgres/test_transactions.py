"""What errors of the ERP's database mean to those who call the port."""

import psycopg
import pytest
from psycopg import errors

from worker.erp.postgres.transactions import BUSY, GONE, meaning_of
from worker.errors import NeedsAttention, Rejected, RetryLater, Scope, Unreachable


@pytest.mark.parametrize("kind", BUSY)
def test_a_busy_database_is_passing_trouble(kind: type[psycopg.Error]) -> None:
    meaning = meaning_of(kind("deadlock detected"))

    assert isinstance(meaning, RetryLater)
    assert meaning.code == "erp_busy"


@pytest.mark.parametrize("kind", [*GONE, errors.AdminShutdown, errors.CannotConnectNow])
def test_a_lost_connection_is_trouble_of_the_world_soon_tried_again(kind: type[psycopg.Error]) -> None:
    meaning = meaning_of(kind("gone"))

    assert isinstance(meaning, NeedsAttention)
    assert (meaning.code, meaning.scope, meaning.probe_seconds) == ("erp_away", Scope.ERP, 5.0)


def test_a_pool_without_a_connection_is_trouble_of_the_world() -> None:
    assert isinstance(meaning_of(Unreachable("database_unreachable", "no")), NeedsAttention)


@pytest.mark.parametrize("kind", [errors.CheckViolation, errors.UniqueViolation, errors.NumericValueOutOfRange])
def test_refused_data_are_rejected(kind: type[psycopg.Error]) -> None:
    assert isinstance(meaning_of(kind("no")), Rejected)


@pytest.mark.parametrize("kind", [errors.SyntaxError, errors.UndefinedTable, errors.InsufficientPrivilege])
def test_our_own_mistakes_stay_what_they_are(kind: type[psycopg.Error]) -> None:
    mistake = kind("relation does not exist")

    assert meaning_of(mistake) is mistake
