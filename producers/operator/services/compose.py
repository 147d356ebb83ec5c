"""Containers for machines that have a Docker engine but no local servers."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from producers.operator.services import ports, postgres, rabbitmq
from producers.operator.services.errors import ServicesError
from producers.operator.services.state import (
    DATABASE,
    USER,
    VIRTUAL_HOST,
    PostgresState,
    RabbitmqState,
    ServicesState,
)
from producers.operator.services.waiting import Report

_START_SECONDS = 600  # the first start downloads two images
_FILE = "compose.json"

POSTGRES_IMAGE = "postgres:18"
RABBITMQ_IMAGE = "rabbitmq:4.2-management"


def is_available() -> bool:
    """Whether a Docker engine answers (the client alone is not enough) and knows Compose."""
    if shutil.which("docker") is None:
        return False
    return _succeeds(["docker", "info"]) and _succeeds(["docker", "compose", "version"])


def start(directory: Path, state: ServicesState, services: Sequence[str], report: Report) -> ServicesState:
    """Start the named containers ("postgres", "rabbitmq") and wait until they are healthy."""
    (directory / _FILE).touch(mode=0o600)
    (directory / _FILE).write_text(json.dumps(document(state.postgres, state.rabbitmq), indent=2))
    report(f"starting {' and '.join(services)} with Docker Compose …")
    _compose(directory, "up", "--detach", "--wait", *services)
    return replace(
        state,
        postgres=replace(state.postgres, version=postgres.answers(state.postgres) or state.postgres.version),
        rabbitmq=replace(state.rabbitmq, version=rabbitmq.answers(state.rabbitmq) or state.rabbitmq.version),
    )


def stop(directory: Path, services: Sequence[str]) -> None:
    """Stop the named containers; their data stays in the volumes."""
    _compose(directory, "stop", *services)


def delete(directory: Path) -> None:
    """Remove both containers and their volumes."""
    _compose(directory, "down", "--volumes")


def document(database: PostgresState, broker: RabbitmqState) -> dict[str, Any]:
    """The Compose file (JSON is YAML too): both services on loopback ports, data in named volumes."""
    return {
        "services": {
            "postgres": {
                "image": POSTGRES_IMAGE,
                "environment": {
                    "POSTGRES_USER": USER,
                    "POSTGRES_PASSWORD": database.password,
                    "POSTGRES_DB": DATABASE,
                },
                "command": ["postgres", "-c", "max_connections=200"],
                "ports": [f"{ports.LOOPBACK}:{database.port}:5432"],
                "volumes": ["postgres:/var/lib/postgresql"],
                "healthcheck": _healthcheck(f"pg_isready --username={USER} --dbname={DATABASE} --host=127.0.0.1"),
            },
            "rabbitmq": {
                "image": RABBITMQ_IMAGE,
                "hostname": "rabbitmq",
                "environment": {
                    "RABBITMQ_DEFAULT_USER": USER,
                    "RABBITMQ_DEFAULT_PASS": broker.password,
                    "RABBITMQ_DEFAULT_VHOST": VIRTUAL_HOST,
                },
                "ports": [
                    f"{ports.LOOPBACK}:{broker.port}:5672",
                    f"{ports.LOOPBACK}:{broker.management_port}:15672",
                ],
                "volumes": ["rabbitmq:/var/lib/rabbitmq"],
                "healthcheck": _healthcheck("rabbitmq-diagnostics --quiet check_port_connectivity"),
            },
        },
        "volumes": {"postgres": {}, "rabbitmq": {}},
    }


def _healthcheck(command: str) -> dict[str, Any]:
    return {"test": ["CMD-SHELL", command], "interval": "2s", "timeout": "10s", "retries": 60}


def _compose(directory: Path, *arguments: str) -> None:
    name = "backroom-" + hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:8]
    command = ["docker", "compose", "--project-name", name, "--file", str(directory / _FILE), *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_START_SECONDS)
    if done.returncode != 0:
        raise ServicesError(f"`docker compose {' '.join(arguments)}` failed: {done.stderr.strip()}")


def _succeeds(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=15).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
