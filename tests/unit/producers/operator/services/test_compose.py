"""The Compose file for machines with a Docker engine and no local servers."""

from pathlib import Path

from producers.operator.services import compose, postgres, rabbitmq


def test_both_services_are_published_on_loopback_only_and_keep_their_data(tmp_path: Path) -> None:
    database = postgres.plan(tmp_path / "postgres", 20_001)
    broker = rabbitmq.plan(tmp_path / "rabbitmq", 20_002, 20_003, 20_004, 20_005)

    services = compose.document(database, broker)["services"]

    assert services["postgres"]["ports"] == ["127.0.0.1:20001:5432"]
    assert services["rabbitmq"]["ports"] == ["127.0.0.1:20002:5672", "127.0.0.1:20005:15672"]
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"] == database.password
    assert services["rabbitmq"]["environment"]["RABBITMQ_DEFAULT_PASS"] == broker.password
    assert all(service["volumes"] and service["healthcheck"] for service in services.values())
