"""Compares what the story promises with what shop, ledger and ERP say. Pure: facts in, problems out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tests.demo.story import Arrival, StoryOrder


@dataclass(frozen=True, slots=True)
class Placed:
    """An order of the story as the shop has it."""

    story: StoryOrder
    name: str
    total: Decimal
    """What the buyer owes, in the shop's currency."""
    currency: str


@dataclass(frozen=True, slots=True)
class Document:
    """A sales document of the ERP."""

    type: str
    number: str
    customer: str
    currency: str
    total: Decimal
    """VAT included."""


@dataclass(frozen=True, slots=True)
class Found:
    """What ledger and ERP say about an order."""

    documents: tuple[Document, ...] = ()
    sources: tuple[str, ...] = ()
    """Of all requests that led to the job that imported it; empty: no job did."""
    issues: tuple[str, ...] = ()
    """Codes of what stands in the way of a document."""


@dataclass(frozen=True, slots=True)
class House:
    """What holds for the whole installation at the end."""

    documents: int
    open_dead_letters: int
    failed_jobs: int
    broken_invariants: Sequence[str]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the summary."""

    order: str
    what: str
    arrived_by: str
    shop_total: str
    document: str
    erp_total: str
    verdict: str


def arrivals(sources: Iterable[str]) -> frozenset[Arrival]:
    """How requests with these sources came in; a source of no known kind counts as none."""
    return frozenset(arrival for source in sources for arrival in Arrival if source.startswith(arrival.value))


def problems_of(placed: Placed, found: Found, template_customers: frozenset[str]) -> list[str]:
    """Each promise about an order that does not hold, in one sentence.

    `template_customers`: customers that were in the ERP before the first order came.
    """
    story, name = placed.story, placed.name
    problems = []
    if arrivals(found.sources) != {story.arrival}:
        came = ", ".join(found.sources) or "nothing"
        problems.append(f"{name} should arrive by {story.arrival.words}, but the ledger names {came}")
    if story.refused_as:
        if story.refused_as not in found.issues:
            problems.append(f"{name} should be refused as {story.refused_as}, but says {found.issues or 'nothing'}")
        if found.documents:
            problems.append(f"{name} should have no document, but has {found.documents[0].number}")
        return problems
    if len(found.documents) != 1:
        why = f" ({', '.join(found.issues)})" if found.issues else ""
        return [*problems, f"{name} should have one document, but has {len(found.documents)}{why}"]
    document = found.documents[0]
    if (document.total, document.currency) != (placed.total, placed.currency):
        problems.append(
            f"{name} comes to {placed.total} {placed.currency} in the shop, "
            f"but {document.number} to {document.total} {document.currency}"
        )
    if story.customer is not None and document.customer != story.customer:
        problems.append(f"{name} should be booked on {story.customer}, but is on {document.customer}")
    if story.customer is None and document.customer in template_customers:
        problems.append(f"{name} should bring a new customer, but is booked on {document.customer}")
    return problems


def problems_of_house(house: House, expected_documents: int) -> list[str]:
    """What is wrong apart from single orders."""
    problems = []
    if house.documents != expected_documents:
        problems.append(f"the ERP should have {expected_documents} documents, but has {house.documents}")
    if house.open_dead_letters:
        problems.append(f"there are {house.open_dead_letters} dead letters")
    if house.failed_jobs:
        problems.append(f"{house.failed_jobs} jobs failed")
    return problems + [f"the ledger's invariant {name} does not hold" for name in house.broken_invariants]


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """What changed where nothing may, by name."""
    return [
        f"{name} should not change, but went from {before.get(name)} to {after.get(name)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def row(placed: Placed, found: Found, problems: Sequence[str]) -> Row:
    """The order's line of the summary."""
    document = found.documents[0] if found.documents else None
    return Row(
        order=placed.name,
        what=placed.story.what,
        arrived_by=", ".join(sorted(arrival.words for arrival in arrivals(found.sources))) or "–",
        shop_total=f"{placed.total} {placed.currency}",
        document=f"{document.type} {document.number}" if document else (", ".join(found.issues) or "–"),
        erp_total=f"{document.total} {document.currency}" if document else "–",
        verdict="NO" if problems else "refused" if placed.story.refused_as else "equal",
    )
