"""What can go wrong with the private services; every message names the way out."""

from worker.errors import Unreachable


class ServicesError(Unreachable):
    """A private service cannot be found, installed, started or reached. Commands end with exit code 3."""

    def __init__(self, message: str) -> None:
        super().__init__("services", message)


class PortTaken(ServicesError):
    """Somebody took a chosen port between our look and the start; the runner tries again on others."""


class NotAvailable(ServicesError):
    """A server is neither here nor can be had; another way of running may do without it."""
