"""The environment, read once and made into one frozen value (design sections 4 and 5).

Every field is an environment variable: `slice_seconds` is `BACKROOM_SLICE_SECONDS`. With neither URL set, the
two URLs and the key come from `.backroom/services.json`, which `backroom services up` writes.
"""

import json
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from worker.errors import InvalidInput

PREFIX: Final = "BACKROOM_"
SERVICES_FILE: Final = Path(".backroom") / "services.json"


class LogFormat(StrEnum):
    """How log lines look."""

    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    """The least serious line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Settings(BaseModel):
    """Everything a process is told from outside. Durations are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: str = Field(repr=False, pattern=r"^postgres(ql)?://")
    """Holds a password: never shown, never logged."""
    amqp_url: str | None = Field(default=None, repr=False, pattern=r"^amqps?://")
    """Holds a password: never shown, never logged. Without meaning where `embedded`; use `broker_url`."""
    embedded: bool = False
    """No RabbitMQ: doors store requests in PostgreSQL, which also hands the jobs to the workers (design D16)."""
    management_url: str | None = Field(default=None, repr=False, pattern=r"^https?://")
    """RabbitMQ's management API, which alone sets policies; may hold a password. None: they are not looked at."""
    secret_key: tuple[SecretStr, ...] = ()
    """Fernet keys, separated by commas: the first encrypts, all decrypt. Needed where shops' secrets are read."""

    log_format: LogFormat | None = None
    """None: console colours on a terminal, JSON otherwise."""
    log_level: LogLevel = LogLevel.INFO

    worker_threads: int = Field(default=4, ge=2, le=64)
    worker_health_port: int | None = Field(default=None, ge=1, le=65535)
    """None: the worker serves no probes; so for the others."""
    scheduler_health_port: int | None = Field(default=None, ge=1, le=65535)
    webhooks_host: str = "127.0.0.1"
    webhooks_port: int = Field(default=8080, ge=1, le=65535)

    worker_lease_seconds: float = Field(default=60, gt=0)
    """How long a worker counts as alive after its last heartbeat."""
    heartbeat_seconds: float = Field(default=15, gt=0)
    reaper_seconds: float = Field(default=5, gt=0)
    """Pause between two looks for jobs whose worker is gone."""
    reaper_grace_seconds: float = Field(default=20, ge=0)
    """How long a reaper whose own lease had lapsed waits (design 4.3)."""
    due_sweep_seconds: float = Field(default=1, gt=0)
    slice_seconds: float = Field(default=60, gt=0)
    minimum_slice_seconds: float = Field(default=2, ge=0)
    """When a better-ranked job waits, a slice stops at the first safe point after this."""
    attempts: int = Field(default=5, ge=1)
    """Executions of a job before it fails."""
    backoff_base_seconds: float = Field(default=5, gt=0)
    backoff_cap_seconds: float = Field(default=900, gt=0)
    pointer_repair_seconds: float = Field(default=10, gt=0)
    """A pointer older than this and not seen counts as lost; with the sweep it is replaced within 15 s."""
    park_seconds: float = Field(default=2, gt=0)
    """How long the last free thread keeps a pointer before it gives it back (design 4.4)."""
    foreground_heartbeat_seconds: float = Field(default=5, gt=0)
    foreground_lost_seconds: float = Field(default=15, gt=0)
    broker_away_seconds: float = Field(default=15, gt=0)
    """A worker without RabbitMQ for this long takes its jobs from PostgreSQL until RabbitMQ is back (design D16)."""
    stop_seconds: float = Field(default=110, gt=0)
    """A stopping worker that has not ended after this ends by force: ten seconds before the platform's grace of
    120 s is over (broker spec 6.10)."""
    hang_seconds: float = Field(default=120, gt=0)
    """A loop of a worker that has not gone round for so long (and its own period) hangs: the process ends with 70."""
    longest_call_seconds: float = Field(default=540, gt=0)
    """The longest call that a report may make; a slice that takes this, its own time and a minute more hangs."""
    publish_confirm_seconds: float = Field(default=1.5, gt=0)
    """How long a door waits for RabbitMQ, and then for the database (design D7)."""

    @property
    def broker_url(self) -> str | None:
        """Where RabbitMQ is; None where there is none."""
        return None if self.embedded else self.amqp_url

    @field_validator("secret_key", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(key.strip() for key in value.split(",") if key.strip()) if isinstance(value, str) else value

    @field_validator("worker_health_port", "scheduler_health_port", mode="before")
    @classmethod
    def _zero_is_off(cls, value: object) -> object:
        return None if value in (0, "0") else value


def load(start_folder: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; `start_folder` (None: the current one) is where the search for services begins.

    Raises:
        InvalidInput: nothing says where the services are, or a value is not acceptable; names the variable.
    """
    names = {name: f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    given: dict[str, Any] = {name: environ[variable] for name, variable in names.items() if environ.get(variable)}
    if "database_url" not in given and "amqp_url" not in given:
        given = _services(start_folder or Path.cwd()) | given
    _demand("database_url", given)
    try:
        loaded = Settings.model_validate(given)
    except ValidationError as error:
        raise InvalidInput("setting_invalid", _explain(error, given)) from None
    if not loaded.embedded:
        _demand("amqp_url", given)
    return loaded


def _demand(name: str, given: Mapping[str, Any]) -> None:
    if name not in given:
        raise InvalidInput(
            "setting_missing",
            f"{PREFIX}{name.upper()} is not set and no {SERVICES_FILE} was found here or above: "
            "set the variable, or start private services with `backroom services up`",
        )


def _services(start: Path) -> dict[str, Any]:
    """What `backroom services up` left behind, found by walking up; empty where it never ran."""
    for folder in (start.resolve(), *start.resolve().parents):
        path = folder / SERVICES_FILE
        if path.is_file():
            try:
                document = json.loads(path.read_text())
                found = {name: document[name] for name in ("database_url", "secret_key")}
                broker = {"management_url": document.get("management"), "amqp_url": document["amqp_url"]}
                return found | (broker if document["amqp_url"] is not None else {"embedded": True})
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise InvalidInput(
                    "services_file_unreadable",
                    f"{path} cannot be read ({type(error).__name__}: {error}): run `backroom services up` again",
                ) from error
    return {}


def _explain(error: ValidationError, given: Mapping[str, Any]) -> str:
    """One sentence per wrong variable, with its value unless that is a secret."""
    secret = {"database_url", "amqp_url", "management_url", "secret_key"}
    sentences = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        name = str(problem["loc"][0])
        value = "" if name in secret else f" (is {given.get(name)!r})"
        sentences.append(f"{PREFIX}{name.upper()}{value}: {problem['msg']}")
    return "; ".join(sentences)
