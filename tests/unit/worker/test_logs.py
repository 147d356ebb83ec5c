"""What log lines look like and what never stands in them."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from worker import logs
from worker.settings import LogFormat, LogLevel


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """A configured logging that writes JSON here; undone afterwards."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    stream = io.StringIO()
    logs.configure(LogFormat.JSON, LogLevel.INFO, stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_canonical_line_is_one_json_object_with_the_bound_context(lines: io.StringIO) -> None:
    with logs.bound(shop="my-shop", job_id=7):
        logs.canonical_line("job_finished", outcome="succeeded", read=3)
    logs.canonical_line("after")

    first, second = read(lines)
    assert (first["event"], first["shop"], first["job_id"], first["read"], first["level"]) == (
        "job_finished", "my-shop", 7, 3, "info"
    )  # fmt: skip
    assert first["timestamp"].endswith("Z")
    assert "shop" not in second


def test_secrets_are_blotted_out_at_any_depth(lines: io.StringIO) -> None:
    logs.logger("x").warning(
        "call",
        access_token="t-1",
        headers={"Authorization": "t-2", "X-Shopify-Hmac-Sha256": "t-3", "Accept": "json"},
        urls=["amqp://me:t-4@mq/"],
        note="used shpat_0123456789abcdef today",
        lane_token=5,
    )

    text = lines.getvalue()
    assert not any(secret in text for secret in ("t-1", "t-2", "t-3", "t-4", "shpat_"))
    (line,) = read(lines)
    assert line["headers"]["Accept"] == "json"
    assert line["lane_token"] == 5


def test_an_exceptions_text_is_cleaned_too(lines: io.StringIO) -> None:
    try:
        raise ValueError("cannot reach postgresql://me:t-1@db/x")
    except ValueError:
        logs.logger("x").exception("failed")

    assert "ValueError" in lines.getvalue()
    assert "t-1" not in lines.getvalue()


def test_on_a_terminal_neither_values_nor_local_variables_give_secrets_away() -> None:
    stream, root = io.StringIO(), logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        logs.configure(LogFormat.CONSOLE, stream=stream)
        secret_local = "t-1"
        try:
            raise ValueError(f"at amqp://me:{secret_local}@mq/")
        except ValueError:
            logs.logger("x").exception("failed", access_token="t-2")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        structlog.reset_defaults()

    assert "ValueError" in stream.getvalue()
    assert not any(secret in stream.getvalue() for secret in ("t-1", "t-2"))


def test_libraries_are_heard_from_warnings_on_and_look_the_same(lines: io.StringIO) -> None:
    logging.getLogger("pika").info("chatter")
    logging.getLogger("httpx").warning("slow %s", "answer")

    (line,) = read(lines)
    assert (line["event"], line["level"], line["logger"]) == ("slow answer", "warning", "httpx")


def test_lines_below_the_level_are_left_out(lines: io.StringIO) -> None:
    logs.logger("x").debug("detail")

    assert lines.getvalue() == ""
