"""What every command has in common."""

import os

import pytest

from fetcher.shell import without_secrets


def test_variables_that_hold_secrets_are_away_and_come_back(monkeypatch):
    """Those with a secret of some length anywhere, those that are a short one, and no other."""
    told = {"KEY": "sesame-open", "URL": "https://sesame-open@there", "PIN": "42", "ANSWER": "42 exactly"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    with pytest.raises(RuntimeError), without_secrets(frozenset({"sesame-open", "42"})):
        assert {name for name in before if name not in os.environ} == {"KEY", "URL", "PIN"}
        raise RuntimeError
    assert dict(os.environ) == before
