"""What looks like a secret leaves the request, and a name stands in its place: `${secret:EXAMPLE_KEY}`.

In doubt it is one: a key that is masked costs a line of typing, a key in a file that is shared costs a key.
"""

import base64
import re
from dataclasses import dataclass, field

from fetcher.draft.asked import Asked
from fetcher.draft.texts import Text
from fetcher.redaction import looks_secret

_SCHEMED = re.compile(r"(?P<scheme>Bearer|Basic|Token|ApiKey|Api-Key|Key|OAuth)\s+(?P<rest>\S.*)", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{?(?P<name>[A-Za-z_]\w*)\}?")
_PLACEHOLDER = re.compile(
    r"<.*>|\{.*\}|\[.*\]|your[-_ ]?.*|my[-_](api[-_]?)?(key|token)|x{3,}|\*+|\.{3}|…", re.IGNORECASE
)
"""What documentation writes where a key of one's own goes."""

_ANYBODYS = frozenset({"api", "www", "data", "rest", "v1", "v2", "v3", "public", "localhost", "app", "dev"})
_KINDS = (("token", "TOKEN"), ("bearer", "TOKEN"), ("basic", "BASIC"), ("cookie", "COOKIE"), ("pass", "PASSWORD"),
          ("secret", "SECRET"), ("sig", "SIGNATURE"))  # fmt: skip


@dataclass(slots=True)
class Hidden:
    """The secrets that were found: {name of the variable: its value, empty where only the name was told}, and
    {name: where it stood}."""

    host: str
    values: dict[str, str] = field(default_factory=dict, repr=False)
    places: dict[str, str] = field(default_factory=dict)

    def hide(self, value: str, place: str, kind: str) -> Text:
        """What stands for that value in a job file."""
        told = _VARIABLE.fullmatch(value)
        name = told["name"] if told else self._name(value, kind)
        self.values[name] = "" if told or _PLACEHOLDER.fullmatch(value) else value
        self.places.setdefault(name, place)
        return Text(f"${{secret:{name}}}")

    def _name(self, value: str, kind: str) -> str:
        known = next((name for name, held in self.values.items() if held == value), None)
        if known:
            return known
        suffix = next((suffix for part, suffix in _KINDS if part in kind.lower()), "KEY")
        name = wanted = f"{owner(self.host)}_{suffix}"
        number = 1
        while name in self.values:
            number += 1
            name = f"{wanted}_{number}"
        return name


def owner(host: str) -> str:
    """`EXAMPLE` of api.example.org: what its variables are called after."""
    labels = [label for label in host.split(".")[:-1] or [host] if label.lower() not in _ANYBODYS]
    name = re.sub(r"\W", "_", labels[0]).upper() if labels else ""
    return name if re.match(r"[A-Z]", name) else "API"


def hidden_header(name: str, value: str, hidden: Hidden) -> Text | None:
    """What stands for a header's value that is a secret; the scheme before a credential stays readable."""
    if not looks_secret(name):
        return None
    schemed = _SCHEMED.fullmatch(value) if name.lower().endswith("authorization") else None
    if schemed:
        kind = schemed["scheme"]
        return Text(f"{kind} {hidden.hide(schemed['rest'], f'the header {name}, after {kind}', kind).source}")
    return hidden.hide(value, f"the header {name}", name)


def with_user(asked: Asked) -> None:
    """A user and a password become the header that they are sent as (RFC 7617)."""
    if asked.user and asked.header("Authorization") is None:
        told = base64.b64encode(asked.user.encode()).decode()
        asked.headers.append(("Authorization", f"Basic {told}"))
