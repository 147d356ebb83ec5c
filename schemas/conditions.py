"""Filters of a report's request page: a value, or a set of comparisons that must all hold (orders spec 2.3)."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

T = TypeVar("T")


class Condition(BaseModel, Generic[T]):
    """Comparisons over one column, AND-ed. A bare value means equality; text compares without case."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    eq: T | None = None
    ne: T | None = None
    in_: tuple[T, ...] | None = Field(default=None, alias="in")
    not_in: tuple[T, ...] | None = None
    gt: T | None = None
    ge: T | None = None
    lt: T | None = None
    le: T | None = None
    like: str | None = Field(default=None, description="Text pattern: * for any characters, ? for one.")
    is_blank: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_value_means_equality(cls, value: Any) -> Any:
        if isinstance(value, (Mapping, Condition)):
            return value
        if isinstance(value, (list, tuple)):
            return {"in": value}
        return {"eq": value}

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError('a condition needs at least one comparison, for example {"eq": …} or {"in": […]}')
        return self

    def comparisons(self) -> dict[str, Any]:
        """The comparisons that are set, by operator name (`eq`, `in`, …)."""
        return self.model_dump(exclude_none=True, by_alias=True)


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("give the time zone, for example 2026-11-22T09:00:00Z")
    return moment


Moment = Annotated[datetime, AfterValidator(_aware)]
TextCondition = Condition[str]
FlagCondition = Condition[bool]
AmountCondition = Condition[Decimal]
NumberCondition = Condition[int]
TimeCondition = Condition[Moment]
