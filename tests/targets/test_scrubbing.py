"""Known secrets are taken out of what is stored, whatever they are wrapped in (guarantee D7)."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.masking import MASK
from targets.scrubbing import Scrubber, known_secrets, scrubber_of

SECRET = "s3cret/va+lue=ä\"<'&\\ x"
PLAIN = "abcdefgh12345678"


def lower_escapes(percent: str) -> str:
    """%2F as %2f."""
    return re.sub("%..", lambda match: match[0].lower(), percent)


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": lambda secret: json.dumps(secret)[1:-1],
    "JSON in UTF-8": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "JSON of PHP": lambda secret: json.dumps(secret)[1:-1].replace("/", "\\/"),
    "JSON of Go": lambda secret: re.sub("[<>&]", lambda match: f"\\u00{ord(match[0]):x}", json.dumps(secret)[1:-1]),
    "JSON in JSON": lambda secret: json.dumps(json.dumps(secret)[1:-1])[1:-1],
    "JSON in UTF-8 in JSON": lambda secret: json.dumps(json.dumps(secret, ensure_ascii=False)[1:-1])[1:-1],
    "JSON in HTML": lambda secret: html.escape(json.dumps(secret, ensure_ascii=False)[1:-1]),
    "percent": lambda secret: quote(secret, safe=""),
    "percent, slashes kept": quote,
    "percent, lower case": lambda secret: lower_escapes(quote(secret, safe="")),
    "form": quote_plus,
    "form, lower case": lambda secret: lower_escapes(quote_plus(secret)),
    "HTML": html.escape,
    "HTML of Go": lambda secret: html.escape(secret).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    "hex": lambda secret: secret.encode().hex(),
    "upper-case hex": lambda secret: secret.encode().hex().upper(),
    "Latin-1": lambda secret: secret.encode().decode("latin-1"),
}


@pytest.mark.parametrize("secret", [SECRET, PLAIN])
@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_it_finds_a_secret_in_the_usual_encodings(encode: Callable[[str], str], secret: str) -> None:
    encoded = encode(secret)
    assert Scrubber([secret]).text(f"<{encoded}, {encoded}>") == f"<{MASK}, {MASK}>"


@given(st.binary(max_size=7), st.binary(max_size=7), st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]))
def test_it_finds_a_secret_in_base64_wherever_it_begins(
    before: bytes, after: bytes, encode: Callable[[bytes], bytes]
) -> None:
    encoded = encode(before + PLAIN.encode() + after).decode()
    scrubbed = Scrubber([PLAIN]).text(encoded)
    assert MASK in scrubbed
    # At most the characters that the secret shares with its neighbours are left of it.
    left = scrubbed.partition(MASK)
    assert len(left[0]) <= (len(before) * 8 + 5) // 6
    assert len(left[2]) <= (len(after) + 3) * 8 // 6 + 1


@given(st.text(min_size=8, max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_secret_is_left_and_nothing_else_goes(secret: str, before: str, after: str) -> None:
    scrubbed = Scrubber([secret]).text(before + secret + after)
    assert secret not in scrubbed.replace(MASK, "")
    assert Scrubber([]).text(before + secret + after) == before + secret + after


def test_a_text_without_secrets_stays_as_it_is() -> None:
    text = "nothing to see here " * 100
    assert Scrubber([SECRET, PLAIN]).text(text) is text


def test_values_of_less_than_eight_characters_are_not_looked_for() -> None:
    assert Scrubber(["on", "1234567"]).text("on 1234567") == "on 1234567"
    assert Scrubber(["12345678"]).text("12345678") == MASK


def test_a_secret_that_contains_another_goes_as_a_whole() -> None:
    assert Scrubber([PLAIN, f"Bearer {PLAIN}"]).text(f"-Bearer {PLAIN}-{PLAIN}-") == f"-{MASK}-{MASK}-"


@pytest.mark.parametrize("kept", range(1, len(PLAIN)))
def test_the_beginning_of_a_secret_at_the_end_of_a_cut_text_goes(kept: int) -> None:
    assert Scrubber([PLAIN]).end(f"text {PLAIN[:kept]}") == f"text {MASK}"


def test_a_cut_text_that_ends_otherwise_stays() -> None:
    assert Scrubber([PLAIN]).end(f"text {PLAIN[1:5]}") == f"text {PLAIN[1:5]}"
    assert Scrubber([]).end("text") == "text"


@pytest.mark.parametrize("kept", range(8, len(PLAIN) + 1))
def test_a_sentence_that_quotes_a_part_of_a_secret_loses_it(kept: int) -> None:
    assert Scrubber([PLAIN]).sentence(f"It said {PLAIN[:kept]!r}.") == f"It said '{MASK}'."


def test_a_sentence_loses_every_quotation() -> None:
    assert Scrubber([PLAIN]).sentence(f"{PLAIN} and {PLAIN[:9]}") == f"{MASK} and {MASK}"


def known(**changes: object) -> tuple[str, ...]:
    values: dict[str, Any] = {"headers": {}, "auth": None, "signing_secrets": (), "named": ()}
    return known_secrets(**{**values, **changes})


def test_it_knows_secret_headers_and_what_they_are_made_of() -> None:
    basic = base64.b64encode(b"me:pass-word-1").decode()
    headers = {
        "Authorization": f"Basic {basic}",
        "X-Api-Key": "key-4567890",
        "Cookie": "a=cookie-1234; theme=dark",
        "Accept": "text/html; nothing-secret",
        "Idempotency-Key": "0195a1b2-c3d4-7123",
    }
    assert known(headers=headers) == tuple(
        sorted(
            {f"Basic {basic}", basic, "me:pass-word-1", "pass-word-1", "key-4567890"}
            | {"a=cookie-1234; theme=dark", "cookie-1234"}
        )
    )


def test_a_scheme_that_is_no_basic_after_all_breaks_nothing() -> None:
    assert known(headers={"Authorization": "Basic ü-not-base64"}) == ("Basic ü-not-base64", "ü-not-base64")


def test_it_knows_auth_signing_secrets_and_named_ones() -> None:
    found = known(
        auth={"type": "bearer", "token": "token-123"}, signing_secrets=["whsec_abcdefgh"], named=["named-123"]
    )
    assert found == ("abcdefgh", "named-123", "token-123", "whsec_abcdefgh")


def test_calls_with_the_same_secrets_share_a_scrubber() -> None:
    assert scrubber_of((PLAIN,)) is scrubber_of((PLAIN,))
