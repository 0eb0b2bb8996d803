"""What an API repeats of a credential is masked before anything else reads its answer."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.fetch import masks
from fetcher.fetch.masks import Masks
from fetcher.model import Response

CANARY = "c4n4ry/+s3cret?&"


def answer(body=b"", *headers):
    return Response(200, headers, body, 1.0, url="https://api.example.org")


async def test_a_secret_is_masked_in_body_and_headers():
    """As it is, percent-encoded, in JSON, in base64: in every form that a server may repeat."""
    forms = [CANARY, quote(CANARY, safe=""), json.dumps(CANARY)[1:-1], base64.b64encode(CANARY.encode()).decode()]
    body = " ".join(forms).encode()
    masked = await Masks({CANARY}).masked(answer(body, ("Link", f"<?key={forms[1]}>; rel=next"), ("X", "y")))
    assert masked.body.rstrip(b"=") == b"*** *** *** ***"
    assert masked.headers == (("Link", "<?key=***>; rel=next"), ("X", "y"))
    assert (masked.status, masked.url, masked.fetched_at) == (200, "https://api.example.org", 1.0)


@given(st.binary(max_size=60), st.binary(max_size=60), st.text(alphabet="abc123+/= é", min_size=8, max_size=20))
async def test_no_body_keeps_a_secret(before, after, secret):
    """Wherever it stands."""
    masked = await Masks({secret}).masked(answer(before + secret.encode() + after))
    assert secret.encode() not in masked.body or secret.encode() in (before + b"***" + after)


async def test_an_answer_without_one_is_left_as_it_is():
    response = answer(b"nothing", ("X", "y"))
    assert await Masks({CANARY}).masked(response) is response
    assert await Masks(()).masked(response) is response


@pytest.mark.parametrize(("secret", "is_masked"), [("1234567", False), ("12345678", True)])
async def test_a_short_secret_could_be_anything_in_data(secret, is_masked):
    """A year, a name. In messages it is masked all the same."""
    masks = Masks({secret})
    assert ((await masks.masked(answer(secret.encode()))).body == b"***") == is_masked
    masks = Masks(())
    masks.learn(secret)
    assert ((await masks.masked(answer(secret.encode()))).body == b"***") == is_masked


async def test_what_is_learnt_on_the_way_is_masked_too():
    """Tokens come and go; the newest sixteen are known."""
    masks = Masks({CANARY})
    for number in range(20):
        masks.learn(f"token-{number:04d}")
        masks.learn(f"token-{number:04d}")
    body = " ".join(f"token-{number:04d}" for number in range(20)).encode()
    assert (await masks.masked(answer(body + b" " + CANARY.encode()))).body.count(b"***") == 17


async def test_a_secret_across_two_pieces_of_a_large_body_is_found(monkeypatch):
    """The loop is left to others between them."""
    monkeypatch.setattr(masks, "PIECE", 10)
    for offset in range(40):
        body = b"x" * offset + CANARY.encode() + b"x" * (40 - offset)
        assert CANARY.encode() not in (await Masks({CANARY}).masked(answer(body))).body
