"""A pasted curl command becomes an `Asked`. What curl does beside the request is left out; what changes it is noted."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote_plus

from fetcher.draft.asked import Asked, asked_of, read_body
from fetcher.draft.words import words

SHORT = {
    "X": "request", "H": "header", "d": "data", "u": "user", "b": "cookie", "A": "user-agent", "e": "referer",
    "F": "form", "T": "upload-file", "G": "get", "I": "head", "o": "output", "m": "max-time", "x": "proxy",
    "w": "write-out", "c": "cookie-jar", "D": "dump-header", "E": "cert", "K": "config", "r": "range",
    "U": "proxy-user", "y": "speed-time", "Y": "speed-limit", "z": "time-cond", "C": "continue-at",
}  # fmt: skip
"""Short options that take a value, or mean something here."""

LONG = frozenset({"header", "url", "oauth2-bearer", "url-query", "form-string", *SHORT.values()})

FLAGS = frozenset({"get", "head"})
DATA = frozenset({"data", "data-raw", "data-binary", "data-ascii", "data-urlencode", "json"})
IGNORED = re.compile(
    "output|max-time|proxy|write-out|cookie-jar|dump-header|config|speed-time|speed-limit|time-cond|continue-at|"
    "connect-timeout|retry(-delay|-max-time)?|ca(cert|path)|ciphers|tls-max|resolve|interface|limit-rate|max-redirs|"
    "keepalive-time|proxy-(user|header)|stderr|trace(-ascii)?|noproxy|dns-servers"
)
"""Options with a value that change nothing of what is asked."""

NOT_HERE = {
    "upload-file": "an upload (-T)",
    "cert": "a client certificate (-E)",
    "key": "a client certificate (--key)",
    "range": "a part of the answer (-r)",
}
BROWSERS_OWN = ("sec-", "accept-language", "origin", "referer", "dnt", "priority", "pragma", "cache-control")
NEVER_SENT = ("accept-encoding", "content-length", "host", "connection", "upgrade-insecure-requests", "expect", "te")


@dataclass(slots=True)
class _Said:
    """The options of one command, in order: each by its long name, with its value."""

    options: list[tuple[str, str]] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)

    def all(self, *names: str) -> list[str]:
        return [value for name, value in self.options if name in names]

    def last(self, name: str) -> str:
        return next((value for known, value in reversed(self.options) if known == name), "")


def asked_by(command: str, environ: Mapping[str, str]) -> Asked:
    """What a curl command asks. Raises ValueError saying what cannot be read."""
    said = _said(words(command, environ))
    if len(said.urls) != 1:
        raise ValueError(f"expected a curl command with one address, got {len(said.urls)}: {' '.join(said.urls)}")
    asked = asked_of(said.urls[0])
    asked.headers = [(name.strip(), value.strip()) for name, value in map(_header, said.all("header")) if value.strip()]
    _read_shorthands(asked, said)
    _read_data(asked, said)
    asked.method = said.last("request").upper() or asked.method
    if "head" in dict(said.options) or asked.method == "HEAD":
        asked.method = "GET"
        asked.notes.append("curl asked for the headers alone; this job asks for the whole answer")
    asked.notes += [f"{what} is left out: a job cannot send it" for name, what in NOT_HERE.items() if said.all(name)]
    _drop_noise(asked)
    return asked


def _said(told: list[str]) -> _Said:
    rest = iter(told[1:] if told[:1] == ["$"] else told)
    if (first := next(rest, "")).rpartition("/")[2] not in ("curl", "curl.exe"):
        raise ValueError(f"expected a command that begins with 'curl', got {first!r}")
    said = _Said()
    for word in rest:
        if word.startswith("--") and len(word) > 2:
            _read_long(said, word[2:], rest)
        elif word.startswith("-") and len(word) > 1:
            _read_short(said, word[1:], rest)
        else:
            said.urls.append(word)
    said.urls += said.all("url")
    return said


def _read_long(said: _Said, word: str, rest: Iterator[str]) -> None:
    name, has_value, value = word.partition("=")
    takes = name in DATA or IGNORED.fullmatch(name) or name in NOT_HERE or name in SHORT.values() or name in LONG
    if takes and name not in FLAGS:
        said.options.append((name, value if has_value else _value(f"--{name}", rest)))
    else:
        said.options.append((name, ""))


def _read_short(said: _Said, letters: str, rest: Iterator[str]) -> None:
    """`-sSL`, `-XPOST` and `-H text`: letters until one takes a value, which is the rest or the next word."""
    for position, letter in enumerate(letters, start=1):
        name = SHORT.get(letter, letter)
        if name in FLAGS or letter not in SHORT:
            said.options.append((name, ""))
            continue
        said.options.append((name, letters[position:] or _value(f"-{letter}", rest)))
        return


def _value(option: str, rest: Iterator[str]) -> str:
    value = next(rest, None)
    if value is None:
        raise ValueError(f"{option} is the last word of the command; expected its value after it")
    return value


def _header(text: str) -> tuple[str, str]:
    name, _, value = text.partition(":")
    return name, value


def _read_shorthands(asked: Asked, said: _Said) -> None:
    asked.user = said.last("user") or asked.user
    if token := said.last("oauth2-bearer"):
        asked.headers.append(("Authorization", f"Bearer {token}"))
    for option, name in (("cookie", "Cookie"), ("user-agent", "User-Agent"), ("referer", "Referer")):
        if value := said.last(option):
            asked.headers.append((name, value))
    for pair in said.all("url-query"):
        name, _, value = pair.partition("=")
        asked.query.append((name, value))


def _read_data(asked: Asked, said: _Said) -> None:
    for part in said.all("form", "form-string"):
        name, _, value = part.partition("=")
        asked.parts.append((name, value))
        asked.method = "POST"
        asked.drop("content-type")
        if value[:1] in ("@", "<") and ("form", part) in said.options:
            asked.notes.append(f"the part {name} is the file {value[1:]}, whose content has to be put here")
    pieces = [_data(name, value) for name, value in said.options if name in DATA]
    if not pieces:
        return
    joined = ("" if said.all("json") else "&").join(pieces)
    if "get" in dict(said.options):
        asked.query += parse_qsl(joined, keep_blank_values=True)
        return
    asked.method = "POST"
    if said.all("json"):
        asked.headers += [("Accept", "application/json")] * (asked.header("Accept") is None)
    read_body(asked, joined)


def _data(option: str, text: str) -> str:
    if text.startswith("@") and option != "data-raw":
        raise ValueError(f"--{option} {text} reads a file; put what it holds into the command instead")
    if option != "data-urlencode":
        return text
    name, equals, value = text.partition("=")
    return f"{name}{'=' if equals and name else ''}{quote_plus(value)}" if equals else quote_plus(name)


def _drop_noise(asked: Asked) -> None:
    """Leave out what a browser adds of its own, and what the client sets itself."""
    dropped = [name for name, value in asked.headers if _is_noise(name.lower(), value)]
    asked.headers = [(name, value) for name, value in asked.headers if not _is_noise(name.lower(), value)]
    if dropped:
        asked.notes.append(f"left out, for browsers and clients add them by themselves: {', '.join(dropped)}")


def _is_noise(name: str, value: str) -> bool:
    is_browser = name == "user-agent" and value.startswith("Mozilla")
    return name in NEVER_SENT or name.startswith(BROWSERS_OWN) or is_browser
