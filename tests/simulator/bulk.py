"""Bulk operations of the simulated shop: queries without pages, answered by files of lines (platform spec 2.6).

An operation is accepted or refused at once, runs for a while, and then has a result that is made of the shop as it
is at that moment. Lines of parts stand behind all their parents, as far away as the shop likes.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    get_nullable_type,
    is_list_type,
    parse,
    validate,
    visit,
)

from tests.simulator.entities import Entity

MOST_RUNNING = 5
MOST_CONNECTIONS = 5
DEEPEST = 2
"""How many connections may stand around another one."""

Json = dict[str, Any]
Outcome = Literal["COMPLETED", "FAILED", "CANCELED", "EXPIRED"]
_OVER = ("COMPLETED", "FAILED", "CANCELED", "EXPIRED")


@dataclass(kw_only=True, eq=False)
class BulkOperation(Entity):
    """One operation of an app; the result is kept beside it until it is expired."""

    query: str
    created_at: datetime
    done_at: datetime
    """When it ends by itself."""
    outcome: Outcome = "COMPLETED"
    status: str = "CREATED"
    type: str = "QUERY"
    error_code: str | None = None
    completed_at: datetime | None = None
    object_count: int = 0
    root_object_count: int = 0
    file_size: int | None = None
    url: str | None = None
    partial_data_url: str | None = None
    result: bytes | None = None
    """None: there is none (any more)."""


@dataclass
class BulkOptions:
    """How a shop's bulk operations behave."""

    seconds: float = 0.5
    """How long each runs."""
    outcome: Outcome = "COMPLETED"
    error_code: str | None = None
    refuse: str | None = None
    """Start error for every operation: OPERATION_IN_PROGRESS, LIMIT_REACHED or INVALID."""
    cut_after_bytes: int | None = None
    """The next download breaks off there."""


@dataclass
class BulkDesk:
    """The bulk operations of one shop, oldest first."""

    options: BulkOptions = field(default_factory=BulkOptions)
    operations: list[BulkOperation] = field(default_factory=list)

    def running(self) -> int:
        """How many take up one of the places."""
        return sum(1 for each in self.operations if each.status not in _OVER)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an operation was not started."""

    code: str
    message: str


def refusal(desk: BulkDesk, schema: GraphQLSchema, text: str) -> Refusal | None:
    """Why the shop would not start this query; None: it would."""
    if desk.options.refuse is not None:
        return Refusal(desk.options.refuse, "a bulk operation of this app is already in progress")
    if desk.running() >= MOST_RUNNING:
        return Refusal("LIMIT_REACHED", f"only {MOST_RUNNING} bulk operations run at a time")
    try:
        document = parse(text)
    except GraphQLError as error:
        return Refusal("INVALID", f"Invalid bulk query: {error.message}")
    problems = [error.message for error in validate(schema, document)] or list(_problems(schema, document))
    return Refusal("INVALID", f"Invalid bulk query: {problems[0]}") if problems else None


def _problems(schema: GraphQLSchema, document: DocumentNode) -> Iterator[str]:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if len(operations) != 1 or operations[0].operation is not OperationType.QUERY:
        yield "it must be one query"
        return
    if any(isinstance(node, FragmentDefinitionNode) for node in document.definitions):
        yield "the simulated shop takes no named fragments: write them out"
        return
    if operations[0].variable_definitions:
        yield "variables are not supported"
    if len(operations[0].selection_set.selections) != 1:
        yield "one top-level field, please"
    connections = _Connections(schema)
    visit(document, TypeInfoVisitor(connections.types, connections))
    yield from connections.problems
    if not 1 <= connections.count <= MOST_CONNECTIONS:
        yield f"{connections.count} connections; 1 to {MOST_CONNECTIONS} are allowed"


class _Connections(Visitor):
    """Counts connections, and finds those in the wrong place."""

    def __init__(self, schema: GraphQLSchema) -> None:
        super().__init__()
        self.types = TypeInfo(schema)
        self.count = 0
        self.problems: list[str] = []
        self._around: list[str] = []
        """What the fields around this one are: connection, list or object."""

    def enter_field(self, node: FieldNode, *_: object) -> None:
        name = node.name.value
        of_type = self.types.get_type()
        named = get_named_type(of_type)
        kind = "object"
        if named is not None and named.name.endswith("Connection"):
            kind = "connection"
            self.count += 1
            inside = [child.name.value for child in _fields(node)]
            if inside != ["edges"]:
                self.problems.append(f"{name}: connections must be read through edges and node")
            if "list" in self._around:
                self.problems.append(f"{name}: a connection in a list cannot be read")
            if self._around.count("connection") > DEEPEST:
                self.problems.append(f"{name}: more than {DEEPEST} connections around it")
        elif is_list_type(get_nullable_type(of_type)) and name != "edges":
            kind = "list"
        if name == "nodes":
            self.problems.append("nodes: use edges and node")
        self._around.append(kind)

    def leave_field(self, *_: object) -> None:
        self._around.pop()


def _fields(node: FieldNode) -> list[FieldNode]:
    selected = node.selection_set.selections if node.selection_set else ()
    return [child for child in selected if isinstance(child, FieldNode)]


def started(desk: BulkDesk, number: int, text: str, now: datetime) -> BulkOperation:
    """A new operation at work."""
    made = BulkOperation(
        legacy_resource_id=number,
        query=text,
        created_at=now,
        done_at=now + timedelta(seconds=desk.options.seconds),
        outcome=desk.options.outcome,
        error_code=None,
    )
    desk.operations.append(made)
    return made


def finish(desk: BulkDesk, operation: BulkOperation, data: Json | None, now: datetime, address: str) -> None:
    """End an operation with the answer of its query; None: it was cancelled."""
    operation.completed_at = now
    operation.status = "CANCELED" if data is None else operation.outcome
    if operation.status == "FAILED":
        operation.error_code = desk.options.error_code or "INTERNAL_SERVER_ERROR"
    if data is None or operation.status != "COMPLETED":
        return
    lines = list(lines_of(data))
    operation.object_count = len(lines)
    operation.root_object_count = sum(1 for line in lines if "__parentId" not in line)
    if lines:
        text = "\n".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in lines) + "\n"
        operation.result = text.encode()
        operation.file_size = len(operation.result)
        operation.url = address


def lines_of(data: Json) -> Iterator[Json]:
    """The objects of an answer: those of the top first, then all their children, then theirs."""
    (top,) = data.values()
    level: list[tuple[Json, Json]] = [({}, edge["node"]) for edge in top["edges"]]
    while level:
        below: list[tuple[Json, Json]] = []
        for parent, node in level:
            own, children = _parted(node)
            below += [({"__parentId": node["id"]}, child) for child in children]
            yield own | parent
        level = below


def _parted(node: Json) -> tuple[Json, list[Json]]:
    """An object without its connections, and what they hold."""
    own: Json = {}
    children: list[Json] = []
    for name, value in node.items():
        if isinstance(value, dict) and "edges" in value:
            children += [edge["node"] for edge in value["edges"]]
        elif isinstance(value, dict):
            own[name], inner = _parted(value)
            children += inner
        else:
            own[name] = value
    return own, children
