"""`--set name=value` as the values that a report's parameters, or a shop's settings, are made of."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from schemas.catalogue import ReportEntry
from schemas.wire import describe
from worker.errors import InvalidInput

ParametersOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="A parameter: name=value, or name.operator=value. Repeatable.", metavar="NAME=VALUE"),
]
"""The `--set` of commands that run or plan a report."""


def parse_parameters(entry: ReportEntry, assignments: Sequence[str]) -> dict[str, Any]:
    """`name=value` and `name.operator=value` as the report's parameters.

    A list is separated by commas. Values are text; the report's model reads numbers, yes and no, and times.

    Raises:
        InvalidInput: an assignment without `=`, an unknown name or a value that does not fit.
    """
    parameters: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise InvalidInput("bad_parameter", f"--set {assignment}: write name=value, for example fully_paid=true")
        field, _, operator = name.strip().partition(".")
        if field not in entry.parameters.model_fields:
            names = ", ".join(entry.parameters.model_fields)
            raise InvalidInput(
                "unknown_parameter", f"{entry.name.value} has no parameter {field!r}; its parameters are {names}"
            )
        is_list = operator in ("in", "not_in") or field == entry.parameters.ENTITY_FIELD
        given: Any = [part.strip() for part in value.split(",")] if is_list else value.strip()
        if operator:
            condition = parameters.setdefault(field, {})
            if not isinstance(condition, dict):
                raise InvalidInput("bad_parameter", f"--set {assignment}: {field} was set to one value already")
            condition[operator] = given
        else:
            parameters[field] = given
    try:
        entry.parameters.model_validate(parameters)
    except ValidationError as error:
        raise InvalidInput("bad_parameter", f"{entry.name.value}: {'; '.join(describe(error))}") from error
    return parameters


def parse_plain(assignments: Sequence[str]) -> dict[str, str]:
    """`name=value` as text by name; the last of a name counts.

    Raises:
        InvalidInput: an assignment without `=`.
    """
    values = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name.strip():
            raise InvalidInput(
                "bad_assignment", f"{assignment!r}: write name=value, for example auto_create_orders=true"
            )
        values[name.strip()] = value.strip()
    return values
