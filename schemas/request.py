"""A sync request: the CloudEvents document that any producer may publish (design section 3)."""

import hashlib
import json
import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.catalogue import ReportEntry, find_report
from schemas.conditions import Moment
from schemas.job import Priority
from schemas.parameters import Parameters

REQUEST_TYPE: Literal["sync.requested.v1"] = "sync.requested.v1"
"""The one version of the contract that exists."""

_SHOP_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")


def _shop_code(value: str) -> str:
    if not _SHOP_CODE.fullmatch(value):
        raise ValueError("a shop code is 1 to 60 lower-case letters, digits or hyphens, for example my-shop")
    return value


ShopCode = Annotated[str, AfterValidator(_shop_code)]


class SyncData(BaseModel):
    """What is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    report: str | int = Field(description="Name or number of a report: sync_orders or 30104.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="See the report's own schema.")
    priority: Priority = Priority.NORMAL
    not_before: Moment | None = Field(default=None, description="Earliest start; null means at once.")
    expires_at: Moment | None = Field(default=None, description="Not started by then: expired. null means never.")
    dry_run: bool = Field(default=False, description="Plan only; nothing is written to the shop or the ERP.")

    @field_validator("report")
    @classmethod
    def _known_report(cls, value: str | int) -> str:
        return find_report(value).name.value

    @model_validator(mode="after")
    def _parameters_fit_the_report(self) -> Self:
        find_report(self.report).parameters.model_validate(self.parameters)
        if self.expires_at and self.not_before and self.expires_at <= self.not_before:
            raise ValueError("expires_at must lie after not_before")
        return self


class SyncRequest(BaseModel):
    """A CloudEvents 1.0 document in structured JSON mode. Extension attributes are allowed and kept."""

    model_config = ConfigDict(frozen=True, extra="allow")

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(min_length=1, max_length=200, description="Unique per source; the same id again is a duplicate.")
    source: str = Field(min_length=1, max_length=200, description="Who asks, as a URI reference: /checkout-service.")
    type: Literal["sync.requested.v1"] = REQUEST_TYPE
    subject: ShopCode = Field(description="Shop code.")
    time: Moment | None = None
    datacontenttype: Literal["application/json"] | None = None
    traceparent: str | None = Field(default=None, max_length=200)
    data: SyncData

    @property
    def report(self) -> ReportEntry:
        """The catalogue entry of the report asked for."""
        return find_report(self.data.report)

    @property
    def parameters(self) -> Parameters:
        """The parameters as the report's own model."""
        return self.report.parameters.model_validate(self.data.parameters)

    def content_hash(self) -> str:
        """SHA-256 over type, subject and data: what must agree when a key comes twice (design D8)."""
        content = [self.type, self.subject, self.data.model_dump(mode="json", by_alias=True)]
        return hashlib.sha256(canonical_json(content)).hexdigest()


def canonical_json(value: object) -> bytes:
    """JSON with sorted keys and no spaces, as UTF-8: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def new_request(
    *,
    id: str,
    source: str,
    shop: str,
    report: str | int,
    parameters: dict[str, Any] | None = None,
    priority: Priority = Priority.NORMAL,
    not_before: datetime | None = None,
    expires_at: datetime | None = None,
    dry_run: bool = False,
    time: datetime | None = None,
    traceparent: str | None = None,
) -> SyncRequest:
    """Build a valid request.

    Raises:
        pydantic.ValidationError: a field breaks the contract; the error names it.
    """
    return SyncRequest(
        id=id,
        source=source,
        subject=shop,
        time=time,
        traceparent=traceparent,
        data=SyncData(
            report=report,
            parameters=parameters or {},
            priority=priority,
            not_before=not_before,
            expires_at=expires_at,
            dry_run=dry_run,
        ),
    )
