"""Whose secret signed a webhook: HMAC-SHA256 over the body's exact bytes (platform spec 1.2)."""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

_HEADER_CHARACTERS: Final = 44
"""32 bytes in base64."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A signing secret; `id` names it in metrics and logs."""

    id: str
    value: bytes = field(repr=False)


def signer(body: bytes, header: str | None, secrets: Iterable[Secret]) -> Secret | None:
    """The secret that `header`, base64 of 32 bytes, was made with; None: none of them, or no such header.

    Every secret is tried in constant time, so the answer's delay tells nothing about which one nearly fitted.
    """
    if header is None or len(header) != _HEADER_CHARACTERS or not header.isascii():
        return None
    try:
        given = base64.b64decode(header, validate=True)
    except ValueError:
        return None
    found = None
    for secret in secrets:
        # Shopify's own encoding is the only one accepted: other base64 of the same bytes has other last bits.
        expected = hmac.digest(secret.value, body, hashlib.sha256)
        if hmac.compare_digest(expected, given) and base64.b64encode(expected) == header.encode():
            found = secret
    return found
