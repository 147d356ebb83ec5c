"""What was asked and what came of it: the lab's verdict, in numbers that must all be 0."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from tests.support.installation import SHOP, Installation
from tests.support.lane_races import OUT_OF_RANK

TWO_HOLDERS = """
    SELECT a.job_id, a.token, b.job_id AS other, b.token AS other_token
      FROM backroom.job_attempt a JOIN backroom.job ja ON ja.id = a.job_id
      JOIN backroom.job_attempt b ON (b.job_id, b.token) > (a.job_id, a.token)
      JOIN backroom.job jb ON jb.id = b.job_id AND jb.lane_id = ja.lane_id
     WHERE a.started_at < coalesce(b.finished_at, 'infinity') AND b.started_at < coalesce(a.finished_at, 'infinity')"""
"""Slices of one lane that overlap."""


@dataclass
class Verdict:
    """Every field lists what went wrong; all must be empty."""

    lost: list[str] = field(default_factory=list)
    """Orders without a sales document, and webhooks that were answered with 200 and never admitted."""
    doubled: list[str] = field(default_factory=list)
    """Orders with more than one sales document."""
    wrong_total: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    """Claims of a job that was not the best of its lane."""
    two_holders: list[str] = field(default_factory=list)
    broken_invariants: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    dead_letters: list[str] = field(default_factory=list)
    threads_missing: list[str] = field(default_factory=list)
    connections_leaked: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return all(not getattr(self, each.name) for each in fields(self))

    def table(self) -> str:
        """One line per field, with the first cases."""
        return "\n".join(
            f"  {each.name.replace('_', ' '):20} {len(found):>4}  {'; '.join(found[:3])}"
            for each in fields(self)
            for found in (getattr(self, each.name),)
        )


def judge(house: Installation) -> Verdict:
    """Orders, requests and jobs of an installation that has come to rest."""
    verdict = Verdict()
    orders, documents = house.orders(), house.sales_documents()
    for name, total in orders.items():
        found: list[Decimal] = documents.get(name, [])
        if not found:
            verdict.lost.append(f"order {name}")
        elif len(found) > 1:
            verdict.doubled.append(f"order {name}")
        elif found != [total]:
            verdict.wrong_total.append(f"order {name}: {found[0]} instead of {total}")
    verdict.lost += _lost_webhooks(house)
    verdict.out_of_order = [f"job {row['job_id']} before {row['best']}" for row in house.rows(OUT_OF_RANK)]
    verdict.two_holders = [f"jobs {row['job_id']} and {row['other']}" for row in house.rows(TWO_HOLDERS)]
    verdict.broken_invariants = [f"{name} {found[:3]}" for name, found in house.broken_invariants().items()]
    verdict.unfinished = [
        f"job {row['id']} {row['state']}"
        for row in house.rows("SELECT id, state::text FROM backroom.job WHERE finished_at IS NULL")
    ] + [f"request {row['id']}" for row in house.rows("SELECT id FROM backroom.pending_request")]
    verdict.dead_letters = [
        f"{row['reason']}: {row['detail']}" for row in house.rows("SELECT reason, detail FROM backroom.dead_letter")
    ]
    return verdict


def _lost_webhooks(house: Installation) -> list[str]:
    """Webhooks that start work: a 200 is a promise."""
    admitted = {row["id"] for row in house.rows("SELECT id FROM backroom.inbox")}
    starting = {row["id"] for row in house.rows("SELECT id FROM backroom.inbox WHERE source = %s", f"/shopify/{SHOP}")}
    topics = {each["topic"] for each in house.simulator.webhook_log(SHOP) if each["webhook_id"] in starting}
    return [
        f"webhook {each['webhook_id']} ({each['topic']})"
        for each in house.simulator.webhook_log(SHOP)
        if each["topic"] in topics
        and any(attempt["status"] == 200 for attempt in each["attempts"])
        and each["webhook_id"] not in admitted
    ]


def missing_threads(before: Mapping[int, int]) -> list[str]:
    """Processes that have fewer threads than when they began to work. `before`: threads by process id."""
    return [f"process {pid}: {now} of {count}" for pid, count in before.items() if (now := threads_of(pid)) < count]


def threads_of(pid: int) -> int:
    """Threads of a process as the kernel counts them; 0: it is gone."""
    tasks = Path(f"/proc/{pid}/task")
    return sum(1 for _ in tasks.iterdir()) if tasks.exists() else 0


def leaked_connections(house: Installation, management_url: str, living: Sequence[str], most: int) -> list[str]:
    """Connections of workers that are gone, and more of a living one than it may have.

    `living`: ids of the workers that run; `most`: database connections that one may have.
    """
    assert house.amqp_url is not None
    leaked = []
    counted = house.rows(
        "SELECT application_name AS name, count(*) AS n FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE 'backroom/%%-%%' GROUP BY 1"
    )
    for row in counted:
        if row["name"].removeprefix("backroom/") not in living:
            leaked.append(f"{row['n']} database connections of a worker that is gone")
        elif row["n"] > most:
            leaked.append(f"{row['n']} database connections of one worker, {most} are allowed")
    virtual_host = unquote(urlsplit(house.amqp_url).path.removeprefix("/")) or "/"
    with httpx.Client(base_url=management_url, auth=_login(house.amqp_url)) as client:
        for each in client.get("/api/connections").raise_for_status().json():
            name = str(each.get("client_properties", {}).get("connection_name", each.get("user_provided_name", "")))
            ours = each.get("vhost") == virtual_host and name.startswith(("worker ", "relay "))
            if ours and not any(worker in name for worker in living):
                leaked.append(f"broker connection {name}")
    return leaked


def _login(amqp_url: str) -> tuple[str, str]:
    parts = httpx.URL(amqp_url)
    return parts.username, parts.password
