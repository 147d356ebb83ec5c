"""By what customers are recognised."""

import pytest

from worker.erp.postgres.contact_keys import e164, email_keys


@pytest.mark.parametrize(
    ("email", "expected"),
    [
        ("", []),
        (" ; ", []),
        (" Ada@Example.COM ", ["ada@example.com"]),
        ("a@x.it;B@x.it, a@X.it", ["a@x.it", "b@x.it"]),
        ("STRASSE@x.de", ["strasse@x.de"]),
        ("straße@x.de", ["strasse@x.de"]),
        ("ａ@x.it", ["a@x.it"]),
    ],
)
def test_every_address_of_a_list_is_normalised(email: str, expected: list[str]) -> None:
    assert email_keys(email) == expected


@pytest.mark.parametrize(
    ("phone", "country", "expected"),
    [
        ("+39 02 3600-0101", "", "+390236000101"),
        ("02 36000101", "IT", "+390236000101"),
        ("0049 30 901820", "IT", "+4930901820"),
        ("02 36000101", "", ""),
        ("12", "IT", ""),
        ("call me", "IT", ""),
        ("", "IT", ""),
        ("044 668 18 00", "QQ", ""),
    ],
)
def test_a_phone_number_becomes_international_or_nothing(phone: str, country: str, expected: str) -> None:
    assert e164(phone, country) == expected
