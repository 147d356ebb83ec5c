"""Where settings come from, and what is said when they are missing or wrong."""

import json
from pathlib import Path

import pytest

from worker import settings
from worker.errors import InvalidInput

URLS = {
    "BACKROOM_DATABASE_URL": "postgresql://me:pw-1@db/backroom",
    "BACKROOM_AMQP_URL": "amqp://me:pw-2@mq/",
}


def services_file(folder: Path) -> None:
    (folder / ".backroom").mkdir()
    content = {"database_url": "postgresql://a@b/c", "amqp_url": "amqp://a@b/c", "secret_key": "k1", "state": "up"}
    (folder / ".backroom" / "services.json").write_text(json.dumps(content))


def test_the_defaults_are_those_of_the_design(tmp_path: Path) -> None:
    found = settings.load(tmp_path, URLS)

    assert (found.worker_lease_seconds, found.heartbeat_seconds, found.reaper_seconds) == (60, 15, 5)
    assert (found.due_sweep_seconds, found.slice_seconds, found.minimum_slice_seconds) == (1, 60, 2)
    assert (found.attempts, found.backoff_base_seconds, found.backoff_cap_seconds) == (5, 5, 900)
    assert (found.webhooks_host, found.webhooks_port, found.worker_threads) == ("127.0.0.1", 8080, 4)
    assert (found.pointer_repair_seconds, found.worker_health_port) == (10, None)


def test_every_field_can_be_set_by_its_variable(tmp_path: Path) -> None:
    given = {"BACKROOM_SLICE_SECONDS": "0.5", "BACKROOM_WORKER_HEALTH_PORT": "0", "BACKROOM_LOG_FORMAT": "json"}

    found = settings.load(tmp_path, URLS | given)

    assert (found.slice_seconds, found.worker_health_port, found.log_format) == (0.5, None, "json")


def test_without_urls_the_private_services_are_found_by_walking_up(tmp_path: Path) -> None:
    services_file(tmp_path)
    (tmp_path / "deep" / "down").mkdir(parents=True)

    found = settings.load(tmp_path / "deep" / "down", {})

    assert found.database_url == "postgresql://a@b/c"
    assert [key.get_secret_value() for key in found.secret_key] == ["k1"]


def test_with_urls_the_private_services_are_not_looked_at(tmp_path: Path) -> None:
    services_file(tmp_path)

    found = settings.load(tmp_path, URLS)

    assert found.amqp_url == "amqp://me:pw-2@mq/"
    assert found.secret_key == ()


def test_nothing_found_names_the_variable_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"BACKROOM_DATABASE_URL is not set .* `backroom services up`"):
        settings.load(tmp_path, {})


def test_one_url_alone_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="BACKROOM_AMQP_URL is not set"):
        settings.load(tmp_path, {"BACKROOM_DATABASE_URL": "postgresql://a@b/c"})


def test_a_wrong_value_is_named_with_its_variable(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"BACKROOM_WORKER_THREADS \(is '1'\): .*greater than or equal to 2"):
        settings.load(tmp_path, URLS | {"BACKROOM_WORKER_THREADS": "1"})


def test_a_wrong_url_is_not_repeated_since_it_holds_a_password(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="BACKROOM_DATABASE_URL") as error:
        settings.load(tmp_path, URLS | {"BACKROOM_DATABASE_URL": "mysql://me:pw-1@db/x"})

    assert "pw-1" not in str(error.value)


def test_an_unreadable_services_file_is_named(tmp_path: Path) -> None:
    services_file(tmp_path)
    (tmp_path / ".backroom" / "services.json").write_text("{}")

    with pytest.raises(InvalidInput, match=r"services\.json cannot be read .* `backroom services up` again"):
        settings.load(tmp_path, {})


def test_several_keys_are_separated_by_commas_and_nothing_secret_is_shown(tmp_path: Path) -> None:
    found = settings.load(tmp_path, URLS | {"BACKROOM_SECRET_KEY": "new, old"})

    assert [key.get_secret_value() for key in found.secret_key] == ["new", "old"]
    assert not any(secret in repr(found) for secret in ("pw-1", "pw-2", "new", "old"))


def test_an_embedded_installation_needs_no_broker(tmp_path: Path) -> None:
    given = {"BACKROOM_DATABASE_URL": URLS["BACKROOM_DATABASE_URL"], "BACKROOM_EMBEDDED": "1"}

    found = settings.load(tmp_path, given)

    assert (found.embedded, found.broker_url) == (True, None)
    assert settings.load(tmp_path, URLS | {"BACKROOM_EMBEDDED": "1"}).broker_url is None
    assert settings.load(tmp_path, URLS).broker_url == URLS["BACKROOM_AMQP_URL"]


def test_without_embedded_the_broker_is_demanded(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="BACKROOM_AMQP_URL is not set"):
        settings.load(tmp_path, {"BACKROOM_DATABASE_URL": URLS["BACKROOM_DATABASE_URL"]})


def test_private_services_without_rabbitmq_make_it_embedded(tmp_path: Path) -> None:
    (tmp_path / ".backroom").mkdir()
    content = {"database_url": "postgresql://a@b/c", "amqp_url": None, "secret_key": "k1", "state": "up"}
    (tmp_path / ".backroom" / "services.json").write_text(json.dumps(content))

    found = settings.load(tmp_path, {})

    assert (found.embedded, found.broker_url) == (True, None)
