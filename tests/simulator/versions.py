"""The API versions the simulated shop knows (calendar of November 2026; platform spec, head)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiVersion:
    """One version; ``served`` marks the one whose schema the simulator really has."""

    handle: str
    supported: bool
    served: bool = False

    @property
    def display_name(self) -> str:
        """The version as people read it."""
        return f"{self.handle} ({'Supported' if self.supported else 'Release candidate'})"


API_VERSIONS: tuple[ApiVersion, ...] = (
    ApiVersion("2026-01", supported=True),
    ApiVersion("2026-04", supported=True),
    ApiVersion("2026-07", supported=True),
    ApiVersion("2026-10", supported=True, served=True),
    ApiVersion("2027-01", supported=False),
    ApiVersion("unstable", supported=False),
)
"""Oldest first."""


def served_version(asked: str) -> str:
    """The version that answers: the one asked for, or the oldest for one that is not reachable (spec 2.5)."""
    known = [version.handle for version in API_VERSIONS]
    return asked if asked in known else known[0]
