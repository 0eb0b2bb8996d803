"""The Link header (RFC 8288). Pure."""

import re
from collections.abc import Iterator, Mapping

from fetcher.model import Response

QUOTED = r'"(?:[^"\\]|\\.)*"'
PARAMETER = re.compile(rf'\s*;\s*([^\s=;,"]*)\s*(?:=\s*({QUOTED}|[^;,"]*))?')
TARGET = re.compile(r"[\s,]*<([^>]*)>")


def next_link(response: Response) -> str | None:
    """The target of the first link whose relation is `next`, as it is written; None where there is none.

    Section 3: a relation is a list of words, upper and lower case alike; only a link's first `rel` counts, and a link
    about another context (`anchor`) is not ours. A header line that is not well-formed is read as far as it is, as in
    appendix B.
    """
    for name, value in response.headers:
        if name.lower() == "link":
            for target, parameters in links(value):
                if "next" in parameters.get("rel", "").lower().split() and "anchor" not in parameters:
                    return target
    return None


def links(text: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Each link of a header's line, and its parameters, of repeated ones the first."""
    at = 0
    while target := TARGET.match(text, at):
        at = target.end()
        parameters: dict[str, str] = {}
        while parameter := PARAMETER.match(text, at):
            at = parameter.end()
            parameters.setdefault(parameter[1].lower(), unquoted(parameter[2] or ""))
        yield target[1], parameters


def unquoted(text: str) -> str:
    """A parameter's value without its quotes."""
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text.strip()
