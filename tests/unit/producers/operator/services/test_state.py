"""`.backroom/services.json`."""

import json
import stat
from dataclasses import replace
from pathlib import Path

from producers.operator.services import postgres, rabbitmq, state
from producers.operator.services.process import Identity
from producers.operator.services.state import EmbeddedState, Means, ServicesState


def test_what_was_saved_is_what_is_loaded(tmp_path: Path) -> None:
    services = example(tmp_path)
    running = replace(services, rabbitmq=replace(services.rabbitmq, server=Identity(7, "boot/1")))

    state.save(tmp_path, running, up=True)

    assert state.load(tmp_path) == running


def test_the_public_keys_name_both_services_and_the_secret(tmp_path: Path) -> None:
    services = example(tmp_path)

    state.save(tmp_path, services, up=False)

    path = tmp_path / ".backroom" / "services.json"
    document = json.loads(path.read_text())
    assert document["database_url"] == f"postgresql://backroom:{services.postgres.password}@127.0.0.1:20001/backroom"
    assert document["amqp_url"] == f"amqp://backroom:{services.rabbitmq.password}@127.0.0.1:20002/backroom"
    assert document["management"] == "http://127.0.0.1:20005"
    assert (document["secret_key"], document["state"]) == ("key", "down")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_is_known_before_the_first_start_and_after_forgetting(tmp_path: Path) -> None:
    assert state.load(tmp_path) is None
    state.save(tmp_path, example(tmp_path), up=True)

    state.forget(tmp_path)

    assert state.load(tmp_path) is None


def test_the_root_is_the_nearest_folder_with_services_before_one_with_a_project(tmp_path: Path) -> None:
    inner = tmp_path / "project" / "folder"
    inner.mkdir(parents=True)
    assert state.find_root(inner) == inner

    (tmp_path / "project" / "pyproject.toml").touch()
    assert state.find_root(inner) == tmp_path / "project"

    state.save(tmp_path, example(tmp_path), up=True)
    assert state.find_root(inner) == tmp_path


def test_services_without_rabbitmq_are_kept_apart_from_those_with(tmp_path: Path) -> None:
    full = example(tmp_path)
    alone = EmbeddedState("key", full.postgres)

    state.save(tmp_path, alone, up=True)

    assert state.load_embedded(tmp_path) == alone
    assert state.load(tmp_path) is None
    document = json.loads((tmp_path / ".backroom" / "services.json").read_text())
    assert (document["database_url"], document["amqp_url"]) == (full.postgres.url, None)

    state.save(tmp_path, full, up=True)
    assert state.load_embedded(tmp_path) is None


def example(root: Path) -> ServicesState:
    """Both services, planned and not started."""
    directory = state.directory_of(root)
    directory.mkdir(exist_ok=True)
    return ServicesState(
        means=Means.LOCAL,
        secret_key="key",
        postgres=postgres.plan(directory / "postgres", 20_001),
        rabbitmq=rabbitmq.plan(directory / "rabbitmq", 20_002, 20_003, 20_004, 20_005),
    )
