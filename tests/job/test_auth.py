"""`[fetch.auth]` and `fetch.allowed_hosts`: what they may say, what is wrong, and what is secret of it."""

import pytest

from fetcher.job.auth import Auth, basic
from fetcher.job.fingerprints import fetch_fingerprint
from fetcher.realms import realms_of

ENVIRON = {"KEY": "k-canary", "OTHER": "o-canary", "BRACES": "a{b}c", "PLAIN": "p-canary"}


def auth(*lines):
    """The section, from line 8 on."""
    return ("[parse]", "\n".join(["[fetch.auth]", *lines, "[parse]"]))


@pytest.mark.parametrize(
    ("lines", "secrets"),
    [
        (['kind = "header"', 'name = "X-Api-Key"', 'value = "${secret:KEY}"'], {"k-canary"}),
        (['kind = "query"', 'parameter = "api_key"', 'value = "literal"'], {"literal"}),
        (['kind = "bearer"', 'token = "${PLAIN}"'], {"p-canary"}),
        (['kind = "bearer"', 'keys = ["${secret:KEY}", "${secret:OTHER}"]'], {"k-canary", "o-canary"}),
        (['kind = "basic"', 'user = "somebody"', 'password = "${secret:BRACES}"'],
         {"somebody", "a{b}c", basic("somebody", "a{b}c")}),
        (['kind = "basic"', 'user = "me"'], {basic("me", "")}),
        (['kind = "oauth2"', 'token_url = "/token"', 'client_id = "client"', 'client_secret = "${secret:KEY}"',
          'scope = "read write"'], {"client", "k-canary", basic("client", "k-canary")}),
        (['kind = "oauth2"', 'token_url = "https://login.example.org/token/"', 'client_id = "client"',
          'grant = "refresh_token"', 'refresh_token = "${secret:OTHER}"'], {"client", "o-canary"}),
        (['kind = "request"', 'token_url = "/login"', 'token_path = "data.token"', 'lifetime_path = "data.ttl"',
          'json = { grant_type = "password", login = { user = "somebody", password = "${secret:BRACES}" } }'],
         {"somebody", "a{b}c"}),
        (['kind = "request"', 'token_url = "/in"', 'token_path = "t"', 'form = { pin = "123456" }', 'method = "GET"'],
         {"123456"}),
    ],
)  # fmt: skip
def test_every_kind_loads_and_all_that_it_holds_is_secret(load, lines, secrets):
    """Filled in or spelled out, and what is made of it for sending; names, places and scopes are not."""
    assert load(auth(*lines), environ=ENVIRON).secrets == secrets


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (['kind = "header"', 'value = "k"'], "fetch.auth: kind = 'header' needs name"),
        (['kind = "header"', 'name = "X"'], "fetch.auth: kind = 'header' needs value or keys, and not both"),
        (['kind = "bearer"', 'token = "t"', 'keys = ["k"]'], "fetch.auth: kind = 'bearer' needs token or keys"),
        (['kind = "query"', 'parameter = "p"', 'keys = ["k", "k"]'], "fetch.auth: keys has the same key twice"),
        (['kind = "bearer"', 'name = "X"', 'token = "t"'], "'bearer' does not take name; it takes keys, token"),
        (['kind = "basic"'], "fetch.auth: kind = 'basic' needs user"),
        (['kind = "oauth2"', 'token_url = "/t"'], "fetch.auth: kind = 'oauth2' needs client_id"),
        (['kind = "oauth2"', 'token_url = "/t"', 'client_id = "c"', 'grant = "refresh_token"'],
         "fetch.auth: grant = 'refresh_token' needs refresh_token"),
        (['kind = "request"', 'token_url = "/t"'], "fetch.auth: kind = 'request' needs token_path"),
        (['kind = "request"', 'token_url = "/t"', 'token_path = "t"', "json = {a = 1}", 'form = {b = "2"}'],
         "fetch.auth: expected json or form, got both"),
        (['kind = "request"', 'token_url = "/t"', 'token_path = "t"', 'name = "X"', 'parameter = "p"'],
         "fetch.auth: expected name (of a header) or parameter (of the query), got both"),
        (['kind = "digest"'], "fetch.auth.kind: expected 'header', 'query', 'bearer', 'basic', 'oauth2' or 'request'"),
        (['kind = "bearer"', 'tokn = "t"'], "fetch.auth.tokn: unknown key; did you mean 'token'?"),
        (['kind = "bearer"', 'token = "a\\nb-canary"'], "fetch.auth.token: expected text without line breaks"),
        (['kind = "bearer"', 'token = " b-canary"'], "fetch.auth.token: expected text without line breaks"),
        (['kind = "bearer"', 'keys = ["a", "b-canary\\u0000"]'], "fetch.auth.keys[1]: expected text without line"),
        (['kind = "bearer"', 'token = "${secret:NOWHERE}"'], "the environment variable NOWHERE is not set"),
        (['kind = "oauth2"', 'token_url = "ftp://x"', 'client_id = "c"'], "fetch.auth.token_url: expected an address"),
        (['kind = "oauth2"', 'token_url = "//x"', 'client_id = "c"'], "fetch.auth.token_url: expected a path"),
        (['kind = "request"', 'token_url = "/t"', 'token_path = "t"', "form = { pin = 98765 }"],
         "fetch.auth.form.pin: the secret that is filled in here is not a value that fits (it is not shown)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_no_secret_shown(faults_of, lines, fault):
    """X06: neither is a line break let into a header."""
    faults = "\n".join(faults_of(auth(*lines), environ=ENVIRON))
    assert fault in faults
    assert "canary" not in faults and "98765" not in faults


def test_a_missing_secret_names_its_variable(faults_of):
    """And its place; nothing was sent, for the job was not loaded."""
    (fault,) = faults_of(auth('kind = "bearer"', 'token = "${secret:KEYS}"'), environ=ENVIRON)
    assert fault == "job.toml:10:1 fetch.auth.token: the environment variable KEYS is not set; did you mean KEY?"


BEARER = 'kind = "bearer"'


def test_a_credential_is_no_part_of_what_is_asked(load):
    """With one, without one, with another: the rows stay."""
    plain = fetch_fingerprint(load())
    assert fetch_fingerprint(load(auth(BEARER, 'token = "a-token"'))) == plain
    assert fetch_fingerprint(load(("\nurl =", '\nallowed_hosts = ["x.org"]\nurl ='))) == plain


def test_limits_belong_to_the_credential_and_each_of_several_keys_has_its_own(load):
    """An account keeps its limits when its key is renewed; a named realm is one for each key, too."""
    (none,) = realms_of(load())
    (one,) = realms_of(load(auth(BEARER, 'token = "a-token"')))
    (other,) = realms_of(load(auth(BEARER, 'token = "b-token"')))
    assert len({none, one, other}) == 3
    two = realms_of(load(auth(BEARER, 'keys = ["a-token", "b-token"]')))
    assert len({*two, one}) == 3
    accounts = {realms_of(load(auth(BEARER, f'token = "{t}"', 'account = "us"')))[0] for t in ("a-token", "b-token")}
    assert len(accounts) == 1
    named = load(("[parse]", 'limits.realm = "mine"\n[fetch.auth]\nkind = "bearer"\nkeys = ["aaaa", "bbbb"]\n[parse]'))
    assert len(set(realms_of(named))) == 2


def test_whose_a_credential_is_tells_nothing_of_it():
    """A hash; the order of keys makes no difference, and a token that is renewed has the identity of its client."""
    first = Auth(kind="bearer", keys=("a-canary", "b-canary"))
    assert first.identity == Auth(kind="bearer", keys=("b-canary", "a-canary")).identity
    assert first.identities() != (first.identity,) and len(set(first.identities())) == 2
    assert len(first.identity) == 64 and "canary" not in first.identity
    header = Auth(kind="header", name="X", value="a-canary")
    assert header.identity != Auth(kind="header", name="X", value="b-canary").identity
    assert header.identity != Auth(kind="header", name="Y", value="a-canary").identity
    assert header.identities() == (header.identity,)
    body = {"kind": "request", "token_url": "/t", "token_path": "t"}
    assert Auth(**body, json={"user": "a"}).identity != Auth(**body, json={"user": "b"}).identity


@pytest.mark.parametrize(
    "host", ["files.example.org", "files.example.org:8443", "https://cdn.example.org", "http://[::1]:8080"]
)
def test_a_host_may_be_allowed(load, host):
    job = load(("\nurl =", f'\nallowed_hosts = ["{host}/"]\nurl ='))
    assert job.fetch.allowed_hosts == (host,)


@pytest.mark.parametrize(
    "host", ["", "*.example.org", "https://u@x.org", "x.org/path", "ftp://x.org", "x.org?a", "a b"]
)
def test_what_is_no_host_is_not_allowed(faults_of, host):
    """No wildcards: whoever may have the credential is named."""
    (fault,) = faults_of(("\nurl =", f'\nallowed_hosts = ["{host}"]\nurl ='))
    assert "fetch.allowed_hosts[0]: expected" in fault
