"""Log lines: one event name plus fields, JSON for machines, colours on a terminal, secrets blotted out.

Lines go to stderr, so that a command's stdout holds its result alone.
"""

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from worker.settings import LogFormat, LogLevel

HIDDEN: Final = "[hidden]"

_SECRET_KEYS: Final = re.compile(r"token|secret|password|authorization|hmac|cookie", re.IGNORECASE)
_NOT_SECRET: Final = frozenset({"lane_token", "fence_token", "secret_id"})
_CREDENTIALS_IN_URL: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s:@]*:[^/\s@]*@", re.IGNORECASE)
_SHOPIFY_TOKEN: Final = re.compile(r"\bshp(?:at|ca|pa|ss|rt)_[A-Za-z0-9]{8,}")
_FOREIGN: Final = ("httpx", "httpcore", "uvicorn", "uvicorn.error", "uvicorn.access", "dramatiq", "alembic")
"""Libraries that log by themselves: heard from WARNING on."""


def configure(
    log_format: LogFormat | None = None, level: LogLevel = LogLevel.INFO, stream: TextIO | None = None
) -> None:
    """Set up this process's logging. `log_format` None: colours on a terminal, else JSON; `stream` None: stderr."""
    out = sys.stderr if stream is None else stream
    chosen = log_format or (LogFormat.CONSOLE if out.isatty() else LogFormat.JSON)
    first: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Plain tracebacks on purpose: the pretty ones show local variables, and with them secrets.
    render: Processor = (
        structlog.processors.JSONRenderer(default=str)
        if chosen is LogFormat.JSON
        else structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)
    )
    last: list[Processor] = [structlog.processors.format_exc_info, redact, render]
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=first,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.value.upper())
    # pika calls every failed step of every attempt to connect an error; our own connection says it once.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    for name in _FOREIGN:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(max(logging.WARNING, root.level))
    # Our own lines go straight to the stream: there is one a request and one a slice, and through `logging` each
    # would cost twice as much.
    structlog.configure(
        processors=[*first, *last],
        logger_factory=lambda *names: _Writer(out, *names),
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        cache_logger_on_first_use=False,
    )


class _Writer(structlog.WriteLogger):
    """Writes finished lines; has a name for them to carry."""

    def __init__(self, file: TextIO, name: str = "backroom") -> None:
        super().__init__(file)
        self.name = name


def logger(name: str) -> FilteringBoundLogger:
    """A logger for one module; what it writes carries the context bound by `bound`."""
    bound_logger: FilteringBoundLogger = structlog.get_logger(name)
    return bound_logger


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Give every line of this thread these fields until the block ends: `with bound(shop=…, job_id=…):`."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


def canonical_line(event: str, **fields: object) -> None:
    """The one line that tells a finished unit of work: who, what, how long, how many, how it ended."""
    logger("backroom").info(event, **fields)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blot out fields named like secrets, credentials in URLs and Shopify tokens, at any depth."""
    return {key: _cleaned(key, value) for key, value in event.items()}


def _cleaned(key: str, value: Any) -> Any:
    if value is not None and _is_secret(key):
        return HIDDEN
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, Mapping | MutableMapping):
        return {str(name): _cleaned(str(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned("", item) for item in value]
    return value


@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    return _SECRET_KEYS.search(key) is not None and key not in _NOT_SECRET


def without_credentials(text: str) -> str:
    """The text with `user:password@` in URLs and Shopify's access tokens blotted out."""
    if "@" in text:
        text = _CREDENTIALS_IN_URL.sub(rf"\g<scheme>{HIDDEN}@", text)
    return _SHOPIFY_TOKEN.sub(HIDDEN, text) if "shp" in text else text
