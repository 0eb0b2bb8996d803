"""Where each key stands in a TOML text, for messages that point at it. tomllib reads values and forgets places.

This scanner follows keys and skips values. It never judges: what is not TOML is tomllib's to report, and here only
must not raise or hang. Lines and columns count from 1, in characters, at a key's first character (its quote, if any).
"""

import re
import tomllib
from bisect import bisect_right
from dataclasses import dataclass, field

KeyPath = tuple[str | int, ...]
Place = tuple[int, int]

_BLANK = re.compile(r"(?:[\s,]|#[^\n]*)*")
_SPACES = re.compile(r"[ \t]*")
_HEADER_END = re.compile(r"[ \t]*\]?\]?")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]+")
# A multi-line string may end in up to two quotes of its own before the closing three.
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")|'
    r"'''.*?'{3,5}(?!')|"
    r'"(?:\\.|[^"\\\n])*"|'
    r"'[^'\n]*'",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Mention:
    """A key met in the text; `is_own` where it is the last of its header or assignment, not one on the way there."""

    path: KeyPath
    place: Place
    is_own: bool


def find_places(text: str) -> dict[KeyPath, Place]:
    """{key path: (line, column)} of every key and every array element; positions in arrays are ints in a path."""
    found: dict[KeyPath, Place] = {}
    mentions = find_mentions(text)
    for mention in [*(m for m in mentions if m.is_own), *(m for m in mentions if not m.is_own)]:
        found.setdefault(mention.path, mention.place)
    return found


def find_mentions(text: str) -> list[Mention]:
    """Every mention of a key in the order of the text, repeated ones too."""
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.document()
    line_starts = [0, *(match.end() for match in re.finditer("\n", scanner.text))]
    mentions = []
    for path, offset, is_own in scanner.found:
        line = bisect_right(line_starts, offset)
        mentions.append(Mention(path, (line, offset - line_starts[line - 1] + 1), is_own))
    return mentions


@dataclass(slots=True)
class _Scanner:
    text: str
    position: int = 0
    found: list[tuple[KeyPath, int, bool]] = field(default_factory=list)
    array_lengths: dict[KeyPath, int] = field(default_factory=dict)

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip(_BLANK) < len(self.text):
            before = self.position
            if self.text.startswith("[", self.position):
                table = self._header()
            else:
                self._assignment(table)
            self.position = max(self.position, before + 1)

    def _header(self) -> KeyPath:
        """`[a.b]` or `[[a.b]]`; returns the path of the table that the lines below it fill."""
        is_array = self.text.startswith("[[", self.position)
        self.position += 2 if is_array else 1
        keys = self._keys()
        self._skip(_HEADER_END)
        path: KeyPath = ()
        for key, offset in keys[:-1]:
            path = self._newest((*path, key), offset)
        for key, offset in keys[-1:]:
            path = (*path, key)
            self.found.append((path, offset, True))
            if is_array:
                length = self.array_lengths.get(path, 0)
                self.array_lengths[path] = length + 1
                path = (*path, length)
                self.found.append((path, offset, True))
        return path

    def _newest(self, path: KeyPath, offset: int) -> KeyPath:
        """`path`, or its newest element where it is an array of tables."""
        self.found.append((path, offset, False))
        length = self.array_lengths.get(path)
        return path if length is None else (*path, length - 1)

    def _assignment(self, table: KeyPath) -> None:
        keys = self._keys()
        path = table
        for index, (key, offset) in enumerate(keys, start=1):
            path = (*path, key)
            self.found.append((path, offset, index == len(keys)))
        if self.text.startswith("=", self._skip(_SPACES)):
            self.position += 1
            self._value(path)

    def _keys(self) -> list[tuple[str, int]]:
        """The parts of a dotted key, each with where it starts."""
        keys: list[tuple[str, int]] = []
        while True:
            start = self._skip(_SPACES)
            match = _BARE_KEY.match(self.text, start) or _STRING.match(self.text, start)
            if match is None:
                return keys
            self.position = match.end()
            keys.append((_unquoted(match[0]), start))
            if not self.text.startswith(".", self._skip(_SPACES)):
                return keys
            self.position += 1

    def _value(self, path: KeyPath) -> None:
        start = self._skip(_SPACES)
        if string := _STRING.match(self.text, start):
            self.position = string.end()
        elif self.text.startswith("[", start):
            self._array(path)
        elif self.text.startswith("{", start):
            self._inline_table(path)
        else:
            self._skip(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        self.position += 1
        index = 0
        while (start := self._skip(_BLANK)) < len(self.text):
            if self.text[start] == "]":
                self.position += 1
                return
            self.found.append(((*path, index), start, True))
            self._value((*path, index))
            self.position = max(self.position, start + 1)
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.position += 1
        while (start := self._skip(_BLANK)) < len(self.text):
            if self.text[start] == "}":
                self.position += 1
                return
            self._assignment(path)
            self.position = max(self.position, start + 1)

    def _skip(self, what: re.Pattern[str]) -> int:
        """Move past `what`; returns the position reached."""
        if match := what.match(self.text, self.position):
            self.position = match.end()
        return self.position


def _unquoted(key: str) -> str:
    if key[0] not in "\"'":
        return key
    try:
        value = tomllib.loads(f"key = {key}")["key"]
    except ValueError:
        return key[1:-1]
    return str(value)
