"""The cursor of an order synchronisation survives a checkpoint."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.support.strategies import gids, moments
from worker.errors import Rejected
from worker.model.ids import Gid
from worker.reports.order_discovery import Cursor, Phase, trouble

ORDER = Gid("gid://shopify/Order/1")
cursors = st.builds(
    Cursor,
    phase=st.sampled_from(Phase),
    asked_since=st.none() | moments,
    since=st.none() | moments,
    position=st.integers(0, 10**6),
    entry_no=st.integers(0, 10**12),
    documents=st.lists(gids("Order"), max_size=3).map(tuple),
    not_found=st.lists(gids("Order"), max_size=3).map(tuple),
)


@given(cursors)
def test_a_cursor_comes_back_as_it_was_saved(cursor: Cursor) -> None:
    assert Cursor.read(json.loads(json.dumps(cursor.saved()))) == cursor


def test_a_job_that_starts_discovers() -> None:
    assert Cursor.read({}) == Cursor(phase=Phase.DISCOVER)


def test_trouble_that_was_foreseen_keeps_its_code() -> None:
    issue = trouble(ORDER, Rejected("order_unreadable", "line 3 has no price"))

    assert (issue.code, issue.message, issue.value) == ("order_unreadable", "line 3 has no price", ORDER)


def test_trouble_that_nobody_foresaw_names_its_kind() -> None:
    assert trouble(ORDER, KeyError("lines")).code == "unexpected_error"
