"""Which processes `backroom up` keeps running."""

from producers.operator.cli.processes import plan
from worker.settings import Settings

SETTINGS = Settings(database_url="postgresql://db/x", amqp_url="amqp://mq/", worker_threads=3, webhooks_port=9000)


def test_one_worker_one_scheduler_and_one_door_run_by_default() -> None:
    children = plan(SETTINGS, 1, {"A": "b"})

    assert [child.name for child in children] == ["worker", "scheduler", "webhooks"]
    assert children[0].argv[-3:] == ("worker", "--threads", "3")
    assert children[2].argv[-5:] == ("webhooks", "--host", "127.0.0.1", "--port", "9000")
    assert all(child.environment == {"A": "b"} for child in children)


def test_of_several_workers_only_the_first_has_the_health_port() -> None:
    first, second, *_ = plan(SETTINGS, 2, {})

    assert (first.name, second.name) == ("worker-1", "worker-2")
    assert "--health-port" not in first.argv
    assert second.argv[-2:] == ("--health-port", "0")


def test_the_processes_of_an_embedded_installation_are_told_so() -> None:
    embedded = Settings(database_url="postgresql://db/x", embedded=True)

    assert all(child.environment == {"A": "b", "BACKROOM_EMBEDDED": "1"} for child in plan(embedded, 2, {"A": "b"}))
