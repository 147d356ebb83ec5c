"""What can be said of `compose.yaml` and the `Dockerfile` without a Docker engine."""

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from producers.operator.cli import main

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()

OURS = {name: service for name, service in SERVICES.items() if "build" in service}
SECRETS = ("POSTGRES_PASSWORD", "RABBITMQ_PASSWORD", "BACKROOM_SECRET_KEY")


def test_the_servers_our_processes_and_the_simulated_shop_are_there() -> None:
    assert set(SERVICES) == {
        "postgres", "rabbitmq", "migrate", "worker", "scheduler", "webhooks", "shop",
    }  # fmt: skip
    assert [name for name, service in SERVICES.items() if service.get("profiles") == ["demo"]] == ["shop"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_checked_for_health_or_waits_for_one_that_is(name: str) -> None:
    service = SERVICES[name]
    conditions = [needed["condition"] for needed in service.get("depends_on", {}).values()]

    assert "healthcheck" in service or "service_healthy" in conditions
    assert all(condition.startswith("service_") for condition in conditions)


def test_whoever_is_waited_for_to_be_healthy_has_a_health_check() -> None:
    for service in SERVICES.values():
        for name, needed in service.get("depends_on", {}).items():
            if needed["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[name], name


def test_the_processes_start_after_the_migration_succeeded() -> None:
    for name in ("worker", "scheduler", "webhooks"):
        assert SERVICES[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_only_the_webhook_door_is_open_to_the_world() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert [port for port in published if not port.startswith("127.0.0.1:")] == ["8080:8080"]


@pytest.mark.parametrize("variable", SECRETS)
def test_a_missing_secret_stops_the_start_and_is_explained_in_the_example(variable: str) -> None:
    uses = re.findall(r"\$\{" + variable + r"(.*?)\}", (ROOT / "compose.yaml").read_text())

    assert uses
    assert all(use.startswith(":?") for use in uses), uses
    assert f"\n{variable}=\n" in (ROOT / ".env.example").read_text()


def test_a_worker_gets_the_time_to_reach_a_safe_point() -> None:
    assert SERVICES["worker"]["stop_grace_period"] == "130s"


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_few_rights(name: str) -> None:
    service = OURS[name]

    assert service["init"] is True
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "privileged" not in service


def test_every_named_volume_is_declared() -> None:
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}

    assert used == set(COMPOSE["volumes"])


@pytest.mark.parametrize("arguments", [["migrate"], ["topology", "apply"], ["worker"], ["scheduler"], ["webhooks"]])
def test_every_command_the_containers_run_exists(arguments: list[str]) -> None:
    answer = CliRunner().invoke(main.build(), [*arguments, "--help"])

    assert answer.exit_code == 0, answer.output


def test_the_options_of_the_webhook_door_exist() -> None:
    _, *options = SERVICES["webhooks"]["command"]
    group = get_command(main.build())
    known = {name for parameter in group.commands["webhooks"].params for name in parameter.opts}  # type: ignore[attr-defined]

    assert {option for option in options if option.startswith("--")} <= known


def test_every_build_target_is_a_stage_of_the_dockerfile() -> None:
    stages = re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE)

    assert {service["build"]["target"] for service in OURS.values()} <= set(stages)
    assert stages[-1] == "backroom", "the last stage is what a plain `docker build` makes"


def test_images_run_as_an_ordinary_user_on_pinned_and_locked_parts() -> None:
    bases = re.findall(r"^FROM (\S+) AS", DOCKERFILE, re.MULTILINE)
    outside = [base for base in bases if ":" in base]
    images = [*outside, *(service["image"] for service in SERVICES.values())]

    assert all(not image.endswith(":latest") and ":" in image for image in images)
    assert "\nUSER backroom\n" in DOCKERFILE
    assert DOCKERFILE.count("--require-hashes") == DOCKERFILE.count("--requirement") == 2


def test_the_build_context_holds_whatever_the_dockerfile_copies() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        source
        for line in DOCKERFILE.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]

    assert copied
    for source in copied:
        assert any(fnmatch(source, pattern) for pattern in allowed), source
        assert (ROOT / source).exists(), source
