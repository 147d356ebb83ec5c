"""The processes of an installation under attack, each on lines of its own and started again when it ends."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tests.support import processes
from tests.support.installation import Installation
from tests.support.processes import Process
from tests.support.proxy import Proxy, proxied


@dataclass(eq=False)
class Post:
    """A place in the crew: one process after another."""

    command: str
    name: str
    to_database: Proxy
    to_broker: Proxy
    lives: int = 0
    process: Process | None = None
    threads: dict[int, int] = field(default_factory=dict)
    """By process id, once it had begun to work."""

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it lives."""
        if self.process is not None:
            self.process.signal(number)

    @property
    def worker_id(self) -> str | None:
        """The id under which a worker registered; None: it has not begun to work."""
        for line in self.process.output().splitlines() if self.process is not None else ():
            if '"worker_started"' in line:
                return str(json.loads(line)["worker"])
        return None


class Crew:
    """Workers, a webhook door and a scheduler."""

    def __init__(self, house: Installation, stack: ExitStack, workers: int) -> None:
        self._house = house
        self._stack = stack
        commands = ["worker"] * workers + ["webhooks", "scheduler"]
        self.posts = [self._post(command, n) for n, command in enumerate(commands)]
        self.workers = self.posts[:workers]
        self.door, self.scheduler = self.posts[workers:]
        self.revive()

    def revive(self) -> int:
        """Start again whoever has ended, as a supervisor does; returns how many had."""
        dead = [post for post in self.posts if post.process is None or not post.process.is_running]
        for post in dead:
            post.lives += 1
            environment = self._house.environment | {
                "BACKROOM_DATABASE_URL": post.to_database.url,
                "BACKROOM_AMQP_URL": post.to_broker.url,
            }
            log = self._house.folder / f"{post.name}-{post.lives}.log"
            post.process = self._stack.enter_context(processes.backroom(post.command, environment=environment, log=log))
        return len(dead)

    def _post(self, command: str, n: int) -> Post:
        assert self._house.amqp_url is not None, "an embedded installation has no broker to lose"
        return Post(
            command,
            f"{command}-{n}",
            self._stack.enter_context(proxied(self._house.database_url)),
            self._stack.enter_context(proxied(self._house.amqp_url)),
        )


@contextmanager
def crew_of(house: Installation, *, workers: int) -> Iterator[Crew]:
    """A crew at work; at the end whoever stands still is let go on, and all end."""
    with ExitStack() as stack:
        crew = Crew(house, stack, workers)
        try:
            yield crew
        finally:
            for post in crew.posts:
                post.signal(signal.SIGCONT)
                post.signal(signal.SIGTERM)  # all at once; the stack then waits for each
