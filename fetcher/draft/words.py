"""A pasted command line as a POSIX shell splits it, forgiving where people paste: prompts, line ends, bare `&`."""

import re
from collections.abc import Iterator, Mapping

_PART = re.compile(
    r"(?P<join>\\\r?\n|\^\r?\n)|(?P<space>\s+)"
    r"|\$'(?P<ansi>(?:[^'\\]|\\.)*)'|'(?P<raw>[^']*)'|\"(?P<soft>(?:[^\"\\]|\\.)*)\""
    r"|\\(?P<escaped>.)|(?P<end>[|;<>]|&&|&(?=\s|$))|\$\{?(?P<name>[A-Za-z_]\w*)\}?|(?P<plain>[^\s'\"\\$|;<>&^]+|[$&^])",
    re.DOTALL,
)
_VARIABLE = re.compile(r"\\(?P<escaped>[\\\"$`\n])|\$\{?(?P<name>[A-Za-z_]\w*)\}?", re.DOTALL)
_ANSI = re.compile(
    r"\\(?:x(?P<x>[0-9A-Fa-f]{1,2})|u(?P<u>[0-9A-Fa-f]{1,4})|U(?P<U>[0-9A-Fa-f]{1,8})|(?P<o>[0-7]{1,3})|(?P<c>.))",
    re.DOTALL,
)
_CONTROLS = {"a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_BYTES = re.compile(r"(?:\\x[89A-Fa-f][0-9A-Fa-f])+")


def words(text: str, environ: Mapping[str, str]) -> list[str]:
    """The words of the first command in `text`; `$NAME` is filled where `environ` has it and stays as it is elsewhere.

    Raises ValueError where a quote is never closed.
    """
    found: list[str] = []
    word: str | None = None
    for part in _parts(text.strip()):
        if part["end"]:
            break
        if part["space"]:
            if word is not None:
                found.append(word)
            word = None
        elif not part["join"]:
            word = (word or "") + _text(part, environ)
    return [*found, word] if word is not None else found


def _parts(text: str) -> Iterator[re.Match[str]]:
    position = 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            raise ValueError(f"the quote {text[position]} is never closed: {text[position : position + 30]!r}")
        yield part
        position = part.end()


def _text(part: re.Match[str], environ: Mapping[str, str]) -> str:
    if part["ansi"] is not None:
        return ansi_text(part["ansi"])
    if part["soft"] is not None:
        return _VARIABLE.sub(lambda found: _variable(found, environ), part["soft"])
    if part["name"]:
        return environ.get(part["name"], part[0])
    return part["raw"] or part["escaped"] or part["plain"] or ""


def _variable(found: re.Match[str], environ: Mapping[str, str]) -> str:
    if found["name"]:
        return environ.get(found["name"], found[0])
    return found["escaped"].strip("\n")


def ansi_text(text: str) -> str:
    r"""What stands between `$'` and `'`: browsers write line ends, `!` and everything that is not ASCII so."""
    joined = _BYTES.sub(lambda run: bytes.fromhex(run[0].replace("\\x", "")).decode("utf-8", "replace"), text)

    def character(found: re.Match[str]) -> str:
        code = found["x"] or found["u"] or found["U"]
        if code or found["o"]:
            number = int(code, 16) if code else int(found["o"], 8)
            return chr(number) if number < 0x110000 else "\ufffd"
        return _CONTROLS.get(found["c"], found["c"])

    text = _ANSI.sub(character, joined)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # pairs of \u halves become one
