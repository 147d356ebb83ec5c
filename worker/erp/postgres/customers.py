"""Customers of the embedded ERP: found, read, created."""

from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from worker.database.queries import load
from worker.erp.postgres.checks import check_address, check_length, searchable, uuid_or_none
from worker.erp.postgres.contact_keys import e164, email_keys
from worker.erp.postgres.numbers import next_number
from worker.erp.postgres.operations import Operation, earlier_result
from worker.erp.postgres.setup import company_missing
from worker.errors import Bug, NeedsAttention, Scope
from worker.model.address import PartyAddress
from worker.model.customer import Customer, CustomerDraft, CustomerQuery
from worker.model.ids import ErpId

EXTRAS = ("vat_no", "payment_terms", "payment_method", "shipment_method")


def find(connection: Connection[DictRow], queries: Sequence[CustomerQuery]) -> tuple[tuple[Customer, ...], ...]:
    """Per query every match, lowest number first; one round trip."""
    asked = [_kind_and_value(query) for query in queries]
    arguments = {"kinds": [kind for kind, _ in asked], "values": [value for _, value in asked]}
    answers: list[list[Customer]] = [[] for _ in queries]
    for row in connection.execute(load("erp")["find_customers"], arguments):
        answers[row["position"] - 1].append(customer_of(row))
    return tuple(tuple(answer) for answer in answers)


def get(connection: Connection[DictRow], ids: Sequence[ErpId]) -> tuple[Customer, ...]:
    """Those of the ids that exist; one round trip."""
    uuids = [uuid for uuid in map(uuid_or_none, ids) if uuid]
    return tuple(customer_of(row) for row in connection.execute(load("erp")["get_customers"], {"ids": uuids}))


def create(connection: Connection[DictRow], draft: CustomerDraft, key: str) -> Customer:
    """Create, or return what the same key created before."""
    earlier = earlier_result(connection, Operation.CREATE_CUSTOMER, key, draft)
    return _by_id(connection, earlier or _insert(connection, draft, key))


def customer_of(row: DictRow) -> Customer:
    """The customer of a row of `erp.v_customers`."""
    return Customer(
        erp_id=ErpId(str(row["id"])),
        number=row["number"],
        version=str(row["version"]),
        address=PartyAddress(
            name=row["name"],
            name_2=row["name_2"],
            contact=row["contact"],
            address=row["address"],
            address_2=row["address_2"],
            post_code=row["post_code"],
            city=row["city"],
            county=row["county"],
            country=row["country"],
        ),
        email=row["email"],
        phone=row["phone"],
        currency=row["currency"],
        bill_to=ErpId(str(row["bill_to_id"])) if row["bill_to_id"] else None,
        prices_include_vat=row["prices_include_vat"],
        blocked=row["blocked"] != "",
        tax_business_group=row["tax_business_group"],
        extras={name: row[name] for name in EXTRAS if row[name]},
    )


def _insert(connection: Connection[DictRow], draft: CustomerDraft, key: str) -> UUID:
    check_address("", draft.address)
    check_length("email", draft.email)
    check_length("phone", draft.phone)
    facts = connection.execute(load("erp")["customer_facts"], {"template": draft.template}).fetchone()
    if facts is None:
        raise company_missing()
    if draft.template and facts["template"] is None:
        raise NeedsAttention(
            "customer_template_missing",
            f"customer template {draft.template!r} does not exist; import it with "
            "`backroom erp import customer-templates FILE` or name another in the shop's settings",
            Scope.ERP,
        )
    row = {
        **asdict(draft.address),
        "email": draft.email,
        "email_keys": email_keys(draft.email),
        "phone": draft.phone,
        "phone_e164": e164(draft.phone, draft.address.country or facts["company_country"]),
        "currency": draft.currency or facts["currency"],
        "tax_business_group": facts["tax_business_group"],
        "payment_terms": facts["payment_terms"],
        "payment_method": facts["payment_method"],
        "shipment_method": facts["shipment_method"],
        "prices_include_vat": facts["prices_include_vat"],
        "number": next_number(connection, facts["series"], "customer", facts["today"]),
    }
    made = connection.execute(load("erp")["insert_customer"], {"customer": Jsonb(row), "key": key}).fetchone()
    if made is None:
        raise Bug("operation_missing", f"key {key!r} was not claimed")
    customer_id: UUID = made["id"]
    return customer_id


def _by_id(connection: Connection[DictRow], customer_id: UUID) -> Customer:
    row = connection.execute(load("erp")["get_customers"], {"ids": [customer_id]}).fetchone()
    if row is None:
        raise Bug("result_missing", f"customer {customer_id} is gone")
    return customer_of(row)


def _kind_and_value(query: CustomerQuery) -> tuple[str, str]:
    asked = [
        (kind, value)
        for kind, value in (("number", query.number), ("email", query.email), ("phone", query.phone))
        if value is not None
    ]
    if len(asked) != 1:
        raise Bug("bad_query", f"exactly one of number, email and phone must be set, not {len(asked)}: {query}")
    kind, value = asked[0]
    if kind == "email":
        return kind, next(iter(email_keys(searchable(value))), "")
    return kind, searchable(value).upper()
