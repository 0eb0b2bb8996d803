"""`${NAME}`, `${NAME:-text}` and `${secret:NAME}` in a job file, replaced before anything else is read.

What a variable holds is data: in a template its braces are escaped, so it can never become a slot.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from fetcher.job.places import KeyPath
from fetcher.job.wording import guess
from fetcher.template import Template, escape_braces

BODIES = ("json", "form", "multipart", "text")
TEMPLATED = tuple(("fetch", key) for key in ("url", "query", "headers", *BODIES, "prompt", "system"))
VARIABLES = ("fetch", "graphql", "variables")

_REFERENCE = re.compile(r"\$\{([^}]*)\}?")
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PLAIN = re.compile(rf"({_NAME})(?::-(.*))?", re.DOTALL)
_SECRET = re.compile(rf"secret:({_NAME})")

AUTH = ("fetch", "auth")
"""Whatever is filled in below is a secret."""

COST = ("fetch", "limits", "cost")


def within_fetch(path: KeyPath) -> KeyPath:
    """The same path as if an annotator's service were the job's own `[fetch]`, which it is like."""
    match path:
        case ("annotate", int(), "service" | "model", *rest):
            return ("fetch", *rest)
    return path


@dataclass(slots=True)
class Variables:
    """Fills in variables from `environ` and notes what it met on the way: secrets, where they went, faults."""

    environ: Mapping[str, str]
    secrets: set[str] = field(default_factory=set, repr=False)
    secret_paths: set[KeyPath] = field(default_factory=set)
    faults: list[tuple[KeyPath, str]] = field(default_factory=list)

    def fill(self, value: object, path: KeyPath = ()) -> object:
        """`value` with every text in it filled, tables and lists included; a text at fault stays as it is."""
        if isinstance(value, dict):
            return {key: self.fill(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            return self._fill_text(value, path)
        return value

    def _fill_text(self, text: str, path: KeyPath) -> object:
        faults_before = len(self.faults)
        within = within_fetch(path)
        is_template = within[:2] in TEMPLATED or within[:3] == VARIABLES or within == COST

        def replaced(reference: re.Match[str]) -> str:
            value = self._value(reference, path)
            return escape_braces(value) if is_template else value

        filled = _REFERENCE.sub(replaced, text)
        if len(self.faults) > faults_before:
            return text
        if not is_template:
            return filled
        try:
            return Template.parse(filled, source=text)
        except ValueError:
            return filled

    def _value(self, reference: re.Match[str], path: KeyPath) -> str:
        """The text for one `${...}`, or nothing after noting a fault."""
        inside = reference[1]
        if not reference[0].endswith("}"):
            return self._fault(path, "'${' is never closed; expected ${NAME}, ${NAME:-text} or ${secret:NAME}")
        if secret := _SECRET.fullmatch(inside):
            self.secret_paths.add(path)
            value = self.environ.get(secret[1], "")
            if not value:
                return self._fault(
                    path, self._missing(secret[1], "is empty" if secret[1] in self.environ else "is not set")
                )
            self.secrets.add(value)
            return value
        if plain := _PLAIN.fullmatch(inside):
            name, default = plain.groups()
            # As in a shell, `:-` stands in for a variable that is empty, too.
            value = self.environ.get(name, "")
            if within_fetch(path)[:2] == AUTH and value:
                self.secret_paths.add(path)
                self.secrets.add(value)
            if default is not None:
                return value or default
            return value if name in self.environ else self._fault(path, self._missing(name, "is not set"))
        return self._fault(
            path, f"'{reference[0]}' is not a variable; expected ${{NAME}}, ${{NAME:-text}} or ${{secret:NAME}}"
        )

    def _missing(self, name: str, what: str) -> str:
        meant = guess(name, self.environ) if name not in self.environ else None
        return f"the environment variable {name} {what}" + (f"; did you mean {meant}?" if meant else "")

    def _fault(self, path: KeyPath, message: str) -> str:
        self.faults.append((path, message))
        return ""
