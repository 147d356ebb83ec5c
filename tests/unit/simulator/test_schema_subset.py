"""The simulator's schema is a strict subset of Shopify's official one (design D14)."""

from collections.abc import Iterator

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    is_introspection_type,
    is_required_argument,
    is_required_input_field,
    print_ast,
    print_type,
)

from tests.simulator.resolvers import SCHEMA_FILE
from tests.support import official_schema
from tests.unit.simulator.conftest import document


@pytest.fixture(scope="module")
def ours() -> GraphQLSchema:
    """The simulator's schema as written in its file."""
    return build_schema(SCHEMA_FILE.read_text())


def test_every_type_member_argument_value_and_nullability_is_the_official_one(ours: GraphQLSchema) -> None:
    official = official_schema.load()

    deviations = [
        deviation
        for name, named in ours.type_map.items()
        if not is_introspection_type(named)
        for deviation in _deviations(named, official.type_map.get(name))
    ]

    assert deviations == []


def test_the_comparison_notices_a_changed_nullability_an_invented_field_and_a_foreign_value() -> None:
    official = build_schema("enum Size { S M } type Query { size(of: ID!): Size! name: String }")
    bent = build_schema("enum Size { S X } type Query { size: Size  name: Int  colour: String }")

    found = [
        deviation
        for name in ("Query", "Size")
        for deviation in _deviations(bent.type_map[name], official.type_map[name])
    ]

    assert found == [
        "Query.size: type Size, officially Size!",
        "Query.size: required argument of is missing",
        "Query.name: type Int, officially String",
        "Query.colour: not in the official schema",
        "Size.X: not in the official schema",
    ]


@pytest.mark.parametrize("name", ["orders_changed", "order_import", "order_returns"])
def test_the_documents_of_the_tests_are_official_and_use_nothing_deprecated(name: str) -> None:
    assert official_schema.validate_document(document(name)) == []
    assert official_schema.deprecated_uses(document(name)) == []


def _deviations(ours: GraphQLNamedType, official: GraphQLNamedType | None) -> Iterator[str]:
    name = ours.name
    if official is None:
        yield f"{name}: not in the official schema"
        return
    if type(ours) is not type(official):
        yield f"{name}: is {type(ours).__name__}, officially {type(official).__name__}"
        return
    match ours, official:
        case ((GraphQLObjectType() | GraphQLInterfaceType()), (GraphQLObjectType() | GraphQLInterfaceType())):
            known = {each.name for each in official.interfaces}
            yield from (f"{name}: does not implement {i.name}" for i in ours.interfaces if i.name not in known)
            for field_name, field in ours.fields.items():
                if field_name not in official.fields:
                    yield f"{name}.{field_name}: not in the official schema"
                    continue
                theirs = official.fields[field_name]
                yield from _differing(f"{name}.{field_name}", str(field.type), str(theirs.type))
                yield from _argument_deviations(f"{name}.{field_name}", field.args, theirs.args)
                if field.deprecation_reason is None and theirs.deprecation_reason is not None:
                    yield f"{name}.{field_name}: officially deprecated"
        case GraphQLInputObjectType(), GraphQLInputObjectType():
            yield from _input_deviations(name, ours.fields, official.fields)
            if ours.is_one_of is not official.is_one_of:
                yield f"{name}: oneOf differs"
        case GraphQLEnumType(), GraphQLEnumType():
            yield from (f"{name}.{v}: not in the official schema" for v in ours.values if v not in official.values)
        case GraphQLUnionType(), GraphQLUnionType():
            members = {each.name for each in official.types}
            yield from (f"{name}: {m.name} is no member" for m in ours.types if m.name not in members)
        case GraphQLScalarType(), GraphQLScalarType():
            pass
        case _:
            yield f"{name}: cannot be compared: {print_type(ours)}"


def _argument_deviations(
    place: str, ours: dict[str, GraphQLArgument], official: dict[str, GraphQLArgument]
) -> Iterator[str]:
    for name, argument in ours.items():
        if name not in official:
            yield f"{place}({name}:): not in the official schema"
            continue
        yield from _differing(f"{place}({name}:)", str(argument.type), str(official[name].type))
        mine, theirs = _default(argument), _default(official[name])
        if mine != theirs:
            yield f"{place}({name}:): default {mine}, officially {theirs}"
    for name, argument in official.items():
        if name not in ours and is_required_argument(argument):
            yield f"{place}: required argument {name} is missing"


def _input_deviations(
    place: str, ours: dict[str, GraphQLInputField], official: dict[str, GraphQLInputField]
) -> Iterator[str]:
    for name, field in ours.items():
        if name not in official:
            yield f"{place}.{name}: not in the official schema"
            continue
        yield from _differing(f"{place}.{name}", str(field.type), str(official[name].type))
    for name, field in official.items():
        if name not in ours and is_required_input_field(field):
            yield f"{place}: required field {name} is missing"


def _default(argument: GraphQLArgument) -> str:
    if argument.default is None or argument.default.literal is None:
        return "none"
    return print_ast(argument.default.literal)


def _differing(place: str, ours: str, official: str) -> Iterator[str]:
    if ours != official:
        yield f"{place}: type {ours}, officially {official}"
