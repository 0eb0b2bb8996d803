"""`[[fetch.expect]]` in a job file."""

import pytest
from pydantic import ValidationError

from fetcher.job.expect import Expect


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"action": "empty"}, "expected at least one of 'status', 'header', 'body' and 'text'"),
        ({"status": [404], "action": "ignore"}, "'accept', 'empty', 'retry'"),
        ({"status": [99], "action": "empty"}, "from 100 to 599"),
        ({"body": "a[", "action": "empty"}, "not JMESPath"),
        ({"text": "(", "action": "empty"}, "expected a regular expression"),
        ({"header": {"a b": "x"}, "action": "empty"}, "expected a header's name"),
        ({"status": [429], "action": "cooldown", "wait": "0 s"}, "from 1 s to 31 days"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_a_fault(section, said):
    """Each says what was expected."""
    with pytest.raises(ValidationError, match=said.replace("[", r"\[")):
        Expect(**section)
