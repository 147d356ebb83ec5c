"""What a GraphQL operation costs (pure; platform spec 2.2 and orders spec 11).

==============================  ==========================================================
scalar, enum                    0
object, list of objects         1 and what is selected in it
MoneyBag, MoneyV2, PageInfo     0
interface, union                the dearest of its concrete types
connection of size n            2 + floor(2 ln n), at least 1, times the cost of one node
``nodes(ids:)``                 one object for each id
mutation                        10, whatever it returns
==============================  ==========================================================

Requested cost counts pages as full; actual cost counts what was returned.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    NamedTypeNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    get_named_type,
    value_from_ast_untyped,
)

SINGLE_QUERY_MAXIMUM = 1000
MUTATION_COST = 10
FREE_TYPES = frozenset({"MoneyBag", "MoneyV2", "PageInfo"})

Json = Any
CompositeType = GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType
Selections = tuple[SelectionSetNode, ...]
Fields = dict[str, list[FieldNode]]


def requested_cost(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, object],
) -> int:
    """The cost charged before execution; ``variables`` must hold the defaults too."""
    return _Walk(schema, _fragments(document), variables, by_result=False).operation(operation, None)


def actual_cost(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, object],
    data: Mapping[str, object] | None,
) -> int:
    """The cost of what was returned; never above ``requested_cost``."""
    return _Walk(schema, _fragments(document), variables, by_result=True).operation(operation, data)


def page_factor(size: int) -> int:
    """How many times one node is charged on a page of ``size``."""
    return max(1, math.floor(2 * math.log(size))) if size > 0 else 0


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    found = (node for node in document.definitions if isinstance(node, FragmentDefinitionNode))
    return {node.name.value: node for node in found}


class _Walk:
    """One pass over an operation; ``data`` arguments are None while only the request is known."""

    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: Mapping[str, object],
        *,
        by_result: bool,
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._variables = dict(variables)
        self._by_result = by_result
        self._collected: dict[tuple[str, tuple[int, ...]], Fields] = {}

    def operation(self, operation: OperationDefinitionNode, data: Json) -> int:
        """The cost of the whole operation."""
        root = self._schema.get_root_type(operation.operation)
        if root is None:
            return 0
        if operation.operation is OperationType.MUTATION:
            called = self._fields((operation.selection_set,), root)
            return MUTATION_COST * (len(called) if not self._by_result or data else 0)
        return self._object((operation.selection_set,), root, data)

    def _object(self, selections: Selections, of_type: CompositeType, data: Json) -> int:
        concrete = self._concrete_types(of_type, data)
        return max((self._concrete_object(selections, each, data) for each in concrete), default=0)

    def _concrete_object(self, selections: Selections, of_type: GraphQLObjectType, data: Json) -> int:
        total = 0
        for key, nodes in self._fields(selections, of_type).items():
            if nodes[0].selection_set is not None:
                total += self._field(nodes, of_type, data.get(key) if isinstance(data, dict) else None)
        return total

    def _field(self, nodes: list[FieldNode], parent: GraphQLObjectType, value: Json) -> int:
        definition = self._schema.get_field(parent, nodes[0].name.value)
        if definition is None or (self._by_result and value is None):
            return 0
        named = get_named_type(definition.type)
        if not isinstance(named, CompositeType) or named.name in FREE_TYPES:
            return 0
        if isinstance(named, GraphQLObjectType) and named.name.endswith("Connection"):
            return self._connection(nodes, named, value)
        selections = _selections(nodes)
        ids = self._argument(nodes[0], "ids")
        if self._by_result and isinstance(value, list):
            each = [1 + self._object(selections, named, item) for item in value if item is not None]
            return max(each, default=0) if ids is None else sum(each)
        times = len(ids) if isinstance(ids, list) else 1
        return times * (1 + self._object(selections, named, value))

    def _connection(self, nodes: list[FieldNode], named: GraphQLObjectType, value: Json) -> int:
        node_cost = 0
        size = self._page_size(nodes[0])
        for key, children in self._fields(_selections(nodes), named).items():
            if children[0].name.value not in ("nodes", "edges"):
                continue
            rows = value.get(key) if isinstance(value, dict) else None
            if self._by_result:
                size = len(rows) if isinstance(rows, list) else 0
            node_cost = max(node_cost, self._node_cost(children, named, rows))
        return 2 + page_factor(size) * node_cost

    def _node_cost(self, children: list[FieldNode], connection: GraphQLObjectType, rows: Json) -> int:
        named = get_named_type(connection.fields[children[0].name.value].type)
        assert isinstance(named, CompositeType)
        # An edge itself is free: what it carries is the node.
        own = 1 if children[0].name.value == "nodes" else 0
        samples = rows if isinstance(rows, list) else [None]
        selections = _selections(children)
        return max((own + self._object(selections, named, row) for row in samples), default=0)

    def _page_size(self, node: FieldNode) -> int:
        for name in ("first", "last"):
            size = self._argument(node, name)
            if isinstance(size, int):
                return size
        return 0

    def _concrete_types(self, of_type: CompositeType, data: Json) -> Sequence[GraphQLObjectType]:
        if isinstance(of_type, GraphQLObjectType):
            return [of_type]
        possible = self._schema.get_possible_types(of_type)
        known = data.get("__typename") if isinstance(data, dict) else None
        return [each for each in possible if each.name == known] or possible

    def _fields(self, selections: Selections, of_type: GraphQLObjectType) -> Fields:
        key = (of_type.name, tuple(map(id, selections)))
        if key not in self._collected:
            found: Fields = {}
            for selection in selections:
                self._collect(selection, of_type, found)
            self._collected[key] = found
        return self._collected[key]

    def _collect(self, selections: SelectionSetNode, of_type: GraphQLObjectType, found: Fields) -> None:
        for node in selections.selections:
            if not self._included(node):
                continue
            if isinstance(node, FieldNode):
                found.setdefault((node.alias or node.name).value, []).append(node)
            elif isinstance(node, FragmentSpreadNode):
                fragment = self._fragments[node.name.value]
                if self._applies(fragment.type_condition, of_type):
                    self._collect(fragment.selection_set, of_type, found)
            elif isinstance(node, InlineFragmentNode) and self._applies(node.type_condition, of_type):
                self._collect(node.selection_set, of_type, found)

    def _applies(self, condition: NamedTypeNode | None, of_type: GraphQLObjectType) -> bool:
        if condition is None or condition.name.value == of_type.name:
            return True
        named = self._schema.type_map.get(condition.name.value)
        if isinstance(named, GraphQLInterfaceType | GraphQLUnionType):
            return self._schema.is_sub_type(named, of_type)
        return False

    def _included(self, node: SelectionNode) -> bool:
        for directive in node.directives or ():
            for argument in directive.arguments or ():
                wanted = directive.name.value != "skip"
                if directive.name.value in ("skip", "include"):
                    return bool(value_from_ast_untyped(argument.value, self._variables)) is wanted
        return True

    def _argument(self, node: FieldNode, name: str) -> Json:
        for argument in node.arguments or ():
            if argument.name.value == name:
                return value_from_ast_untyped(argument.value, self._variables)
        return None


def _selections(nodes: list[FieldNode]) -> Selections:
    return tuple(node.selection_set for node in nodes if node.selection_set is not None)
