import json
import logging
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.redaction import RedactingFilter, redacted

SECRETS = st.text(min_size=4, max_size=20)


@given(st.text(max_size=20), SECRETS, st.sampled_from([str, quote, quote_plus, repr, json.dumps]))
def test_no_form_of_a_secret_is_left(around, secret, form):
    """As it is, percent-encoded for a path or a query, inside JSON, inside a repr."""
    try:
        written = form(secret)
    except UnicodeEncodeError:  # half a character cannot be sent, and so is in no URL
        return
    said = redacted(f"{around}{written}{around}", {secret})
    assert secret not in said or secret in redacted(around, set()) * 2 or secret in "***"


@given(st.text())
def test_what_is_left_can_be_written_to_any_file(text):
    """Half a character, from a server's JSON, would stop the ledger."""
    redacted(text, ()).encode()


def test_a_log_record_leaves_without_secrets(caplog):
    """Also one whose arguments hold it."""
    caplog.handler.addFilter(RedactingFilter({"s3cret"}))
    logging.getLogger("any.library").warning("asked %s", "https://example.org/?key=s3cret")
    assert caplog.messages == ["asked https://example.org/?key=***"]


@pytest.mark.parametrize("secret", ["a/b+c d", 'q"uo\\te', "{brace}"])
def test_urls_and_json_show_nothing(secret):
    """The forms that servers and libraries quote."""
    text = f"{quote(secret, safe='')} {quote_plus(secret)} {json.dumps(secret)} {secret!r} {secret}"
    assert redacted(text, {secret}).count("***") == 5
