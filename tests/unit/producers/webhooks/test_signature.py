"""Platform spec section 7, rows 1 to 7, and Shopify's own library as oracle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shopify_app.verify.webhook import verify_webhook_req

from producers.webhooks.signature import Secret, signer
from tests.support.doors import OLD_SECRET, SECRET, signature

BODY = b'{"id":820982911946154508,"name":"#9999"}'
HEADER = "BACxeU8t025nzgOD5opqJ5PmetwP43lMGdJWT/TjgTk="
ESCAPED = b'{"title":"Gr\\u00f6\\u00dfe 42 \\u2013 Caf\\u00e9 \\u2615"}'


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (BODY, HEADER),
        (BODY + b"\n", "mOETGpn6JiXWcExrWESADv6N1T6lxx+Rv95Qev7G6BQ="),
        ('{"title":"Größe 42 – Café ☕"}'.encode(), "h8XFqIZwwvQOMHPmunAHL8Crme1ae/jXV0oA/Xc50ns="),
        (ESCAPED, "CvkpPDrr6leBXActb0kTMwzDGxrR1FupaZHjcvyvSHk="),
        (rb'{"u":"https:\/\/a.example"}', "dfB7dGzeS2lB760vATSmZTCAqCYDW9wadRxhLa01bqY="),
        (b'{"u":"https://a.example"}', "fvZBWHxWpGXXqRM4d+9S6vZ7JToLro8aasmXAVPyCOM="),
        (b"", "PZsrcSa5AqTpVrPI5qtthJ82IjKG6l7sMuEGyMsL1WA="),
        (b'\xef\xbb\xbf{"id":1}', "LTASDBKjtW/cHusDU8wRdcQMS8PLAEkbwh9vT39rxcM="),
        (b'{"id":1}', "0UURN0RxgPJstNB26W1SDJ5a0bOuP5ELzHnCdUMghLA="),
    ],
)
def test_the_exact_bytes_are_signed(body: bytes, header: str) -> None:
    assert signer(body, header, [SECRET]) == SECRET
    assert signer(body + b" ", header, [SECRET]) is None


def test_while_secrets_rotate_the_one_that_signed_is_named() -> None:
    old = "ZaGaTXYU0mTRV6rVibI5OSQB843OGLCjqT/iq8U4BHk="

    assert signer(BODY, old, [SECRET, OLD_SECRET]) == OLD_SECRET
    assert signer(BODY, old, [SECRET]) is None


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "é",
        "é" * 44,
        "0400b179" * 8,
        HEADER[:-1],
        HEADER[:20],
        HEADER + "=",
        f" {HEADER}",
        "!" * 43 + "=",
        HEADER.replace("k=", "l="),  # other unused bits, the same 32 bytes
    ],
)
def test_a_header_that_is_no_signature_is_refused_without_an_error(header: str | None) -> None:
    assert signer(BODY, header, [SECRET]) is None


def test_without_secrets_nothing_is_verified() -> None:
    assert signer(BODY, HEADER, []) is None


@given(body=st.text(), header=st.one_of(st.text(), st.just(None)), tamper=st.booleans())
def test_shopifys_own_library_agrees(body: str, header: str | None, tamper: bool) -> None:
    raw = body.encode("utf-8", "replace")
    text = raw.decode()
    sent = header if header is not None else signature(raw, SECRET if not tamper else Secret("x", b"other"))
    if not sent.isascii():  # the library raises there
        return

    theirs = verify_webhook_req(
        {"method": "POST", "headers": {"X-Shopify-Hmac-Sha256": sent}, "url": "https://door/", "body": text},
        {"client_id": "app", "client_secret": SECRET.value.decode(), "old_client_secret": None},
    )

    assert (signer(raw, sent, [SECRET]) is not None) == theirs.ok
