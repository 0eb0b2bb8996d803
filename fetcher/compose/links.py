"""The Link header (RFC 8288). Pure."""

import re

from fetcher.model import Response

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
QUOTED = r'"(?:[^"\\]|\\.)*"'
PARAMETER = re.compile(rf"\s*;\s*({TOKEN})\s*(?:=\s*({TOKEN}|{QUOTED}))?")
TARGET = re.compile(r"\s*<([^>]*)>")
BETWEEN = re.compile(r"\s*(,\s*)+|\s*$")


def next_link(response: Response) -> str | None:
    """The target of the first link whose relation is `next`, as it is written; None where there is none.

    Section 3: a relation is a list of words, upper and lower case alike; only a link's first `rel` counts, and a link
    about another context (`anchor`) is not ours. A header that is not well-formed is read as far as it is.
    """
    text = ", ".join(value for name, value in response.headers if name.lower() == "link")
    at = 0
    while target := TARGET.match(text, at):
        at = target.end()
        parameters: dict[str, str] = {}
        while parameter := PARAMETER.match(text, at):
            at = parameter.end()
            parameters.setdefault(parameter[1].lower(), unquoted(parameter[2] or ""))
        if "next" in parameters.get("rel", "").lower().split() and "anchor" not in parameters:
            return target[1]
        between = BETWEEN.match(text, at)
        if between is None:
            return None
        at = between.end()
    return None


def unquoted(text: str) -> str:
    """A parameter's value without its quotes."""
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
