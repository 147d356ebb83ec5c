"""Which changed orders wait for import, and from when on changes are asked for."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import PLACED, a_summary
from worker.model.shopify_order import ImportAction
from worker.rules.order_staging import (
    BEGINNING,
    LeftOut,
    Mirrored,
    changes_wanted_since,
    decide,
    watermark_after,
)

LATER = PLACED + timedelta(minutes=1)

moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def test_a_shop_that_was_never_read_is_asked_from_the_beginning() -> None:
    assert changes_wanted_since(None) == datetime(2004, 1, 1, tzinfo=UTC) == BEGINNING


def test_later_changes_are_asked_for_from_five_minutes_before_the_watermark() -> None:
    watermark = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)

    assert changes_wanted_since(watermark) == datetime(2026, 3, 1, 9, 55, tzinfo=UTC)


def test_the_watermark_is_the_newest_change_seen() -> None:
    page = [a_summary(1, updated_at=LATER), a_summary(2)]

    assert watermark_after(None, page) == LATER
    assert watermark_after(LATER, [a_summary(2)]) == LATER


def test_an_empty_page_leaves_the_watermark_as_it_is() -> None:
    assert watermark_after(None, []) is None
    assert watermark_after(LATER, []) == LATER


@given(st.none() | moments, st.lists(moments, max_size=5))
def test_a_watermark_never_goes_back(watermark: datetime | None, changes: list[datetime]) -> None:
    after = watermark_after(watermark, [a_summary(1, updated_at=moment) for moment in changes])

    assert watermark is None or (after is not None and after >= watermark)
    assert all(after is not None and after >= moment for moment in changes)


def test_a_new_open_order_is_staged_as_new() -> None:
    assert decide(a_summary(), None).action is ImportAction.NEW


def test_a_new_closed_order_never_enters() -> None:
    decision = decide(a_summary(closed=True), None)

    assert decision.action is None
    assert decision.left_out is LeftOut.CLOSED


def test_a_known_order_is_staged_as_update_even_when_closed() -> None:
    mirrored = Mirrored(PLACED, read_at=LATER)

    assert decide(a_summary(closed=True, updated_at=LATER), mirrored).action is ImportAction.UPDATE


def test_a_version_that_the_mirror_holds_is_left_out() -> None:
    assert decide(a_summary(), Mirrored(PLACED, read_at=LATER)).left_out is LeftOut.UNCHANGED
    assert decide(a_summary(), Mirrored(LATER, read_at=LATER)).left_out is LeftOut.UNCHANGED


def test_a_copy_read_within_seconds_of_its_change_may_have_missed_one_of_the_same_second() -> None:
    mirrored = Mirrored(PLACED, read_at=PLACED + timedelta(seconds=1))

    assert decide(a_summary(), mirrored).action is ImportAction.UPDATE
