"""By what customers are recognised: normalised e-mail addresses and phone numbers."""

import re
import unicodedata

import phonenumbers

_SEPARATORS = re.compile(r"[;,]")


def email_keys(email: str) -> list[str]:
    """The addresses of a list `a;b`, each NFKC, trimmed and casefolded; without doubles, in order."""
    parts = (unicodedata.normalize("NFKC", part).strip().casefold() for part in _SEPARATORS.split(email))
    return list(dict.fromkeys(part for part in parts if part))


def e164(phone: str, country: str) -> str:
    """The number in international form, +390612345678; empty: it is none.

    `country` (ISO 3166 alpha-2, may be empty) tells how to read a number without +.
    """
    try:
        number = phonenumbers.parse(phone, country or None)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(number):
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
