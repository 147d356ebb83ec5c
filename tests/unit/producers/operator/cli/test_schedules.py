"""Triggers as the command line takes and shows them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.operator.cli.schedules import define, duration_seconds, in_words, trigger
from schemas.schedule import CronTrigger, IntervalTrigger
from worker.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("2h", 7_200), ("1d", 86_400), ("1h30m", 5_400), (" 1D2H3M4S ", 93_784)],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: int) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "15", "m", "5x", "1.5h", "-5m", "30m1h"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidInput, match="90s, 15m, 2h"):
        duration_seconds(text)


@given(st.integers(min_value=1, max_value=366 * 86_400))
def test_an_interval_in_words_is_read_back_as_the_same(seconds: int) -> None:
    words = in_words(IntervalTrigger(every_seconds=seconds))

    assert duration_seconds(words.removeprefix("every ")) == seconds


def test_a_cron_trigger_is_shown_with_its_zone() -> None:
    assert in_words(CronTrigger(expression="30 2 * * *", timezone="Europe/Rome")) == "30 2 * * * (Europe/Rome)"


@pytest.mark.parametrize(
    ("cron", "zone", "every", "message"),
    [
        (None, None, None, "either --cron"),
        ("* * * * *", None, "5m", "either --cron"),
        (None, "Europe/Rome", "5m", "--zone belongs to --cron"),
    ],
)
def test_one_trigger_and_no_more_is_given(cron: str | None, zone: str | None, every: str | None, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        trigger(cron, zone, every)


def test_a_definition_that_is_not_acceptable_names_its_field() -> None:
    with pytest.raises(InvalidInput, match=r"trigger.cron.timezone: 'Mars' is not an IANA time zone"):
        define(name="x", shop="my-shop", report="30104", trigger=trigger("0 2 * * *", "Mars", None))
