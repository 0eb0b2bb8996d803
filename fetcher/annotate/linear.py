"""Searches by RE2, whose time grows with the text alone, for patterns that mean the same to it as to Python. Pure.

It is never given a pattern as it is written: to RE2 `\\s`, `\\b`, `$`, upper and lower case are something else. Python
takes the pattern apart; each of its characters becomes the set of ASCII characters that Python finds it in. And it is
never given a text as it is, but with a character of ASCII for each other one, which the pattern cannot tell from it.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib import import_module
from typing import Any

ASCII = [chr(code) for code in range(128)]
BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
KINDS = re.ASCII | re.LOCALE | re.UNICODE
"""Flags of which one takes the place of another."""

NOWHERE = r"[^\x00-\xff]"
END = r"(?:\n?\z)"
UNKNOWN = "\N{REPLACEMENT CHARACTER}"

Found = Callable[[str], bool]
Node = tuple[Any, Any]


class Untold(Exception):
    """A pattern, or a text, that cannot be told to RE2 so that it finds what Python does."""


def linear_search(pattern: str, flags: int) -> Callable[[str], bool] | None:
    """What finds whether a pattern is in a text, in time that grows with the text alone. It raises `Untold` for some.

    None without the extra, and for a pattern that RE2 cannot do, such as one that looks around or back.
    """
    try:
        library = import_module("re2")
    except ImportError:
        return None
    parsed = import_module("re._parser").parse(pattern, flags)
    told = Transcript()
    options = library.Options()
    options.encoding, options.log_errors = library.Options.Encoding.LATIN1, False
    try:
        written = told.sequence(parsed, parsed.state.flags, is_last=True)
        search = library.compile(written.encode(), options).search
    except (Untold, library.error, RecursionError):
        return None
    letters = Letters(told.characters)

    def is_found(text: str) -> bool:
        if not text:
            raise Untold("before Python 3.14 it has no place that is no border of a word")
        in_ascii = text if text.isascii() else BEYOND_ASCII.sub(lambda found: found[0].translate(letters), text)
        if not in_ascii.isascii():
            raise Untold("it has a character that is like none of ASCII")
        return search(in_ascii.encode()) is not None

    return is_found


class Transcript:
    """A parsed pattern, written for RE2 over texts of ASCII. `characters` are what it asks of single characters."""

    def __init__(self) -> None:
        self.characters: list[Found] = [is_inside_word]

    def sequence(self, steps: Iterable[Node], flags: int, *, is_last: bool) -> str:
        """Steps that follow each other; `is_last` where nothing comes behind them."""
        nodes = list(steps)
        return "".join(self._step(node, flags, is_last and place == len(nodes)) for place, node in enumerate(nodes, 1))

    def _step(self, node: Node, flags: int, is_last: bool) -> str:
        kind, told = str(node[0]), node[1]
        match kind:
            case "LITERAL" | "NOT_LITERAL" | "IN" | "ANY":
                return self._character(node, flags)
            case "AT":
                return _place(str(told), flags, is_last)
            case "BRANCH":
                branches = (self.sequence(branch, flags, is_last=is_last) for branch in told[1])
                return f"(?:{'|'.join(branches)})"
            case "SUBPATTERN":
                _, added, removed, inner = told
                return f"(?:{self.sequence(inner, combined(flags, added, removed), is_last=is_last)})"
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, inner = told
                most = "" if most == import_module("re._constants").MAXREPEAT else most
                return f"(?:{self.sequence(inner, flags, is_last=False)}){{{least},{most}}}"
        raise Untold(kind)

    def _character(self, node: Node, flags: int) -> str:
        kind, told = node
        is_one = character_test((kind, tuple(told) if isinstance(told, list) else told), flags)
        self.characters.append(is_one)
        found = "".join(f"\\x{ord(letter):02x}" for letter in ASCII if is_one(letter))
        return f"[{found}]" if found else NOWHERE


def _place(told: str, flags: int, is_last: bool) -> str:
    is_by_line = bool(flags & re.MULTILINE)
    if told == "AT_END" and not is_by_line and not is_last:
        raise Untold(told)  # it also is before the last line end, which it does not take
    if told in ("AT_BOUNDARY", "AT_NON_BOUNDARY") and flags & (re.ASCII | re.LOCALE):
        raise Untold(told)
    places = {
        "AT_BEGINNING": "(?m:^)" if is_by_line else r"\A",
        "AT_BEGINNING_STRING": r"\A",
        "AT_END": "(?m:$)" if is_by_line else END,
        "AT_END_STRING": r"\z",
        "AT_BOUNDARY": r"\b",
        "AT_NON_BOUNDARY": r"\B",
    }
    return places[told]


def combined(flags: int, added: int, removed: int) -> int:
    """The flags within a group that has some of its own."""
    kept = flags & ~KINDS if added & KINDS else flags
    return (kept | added) & ~removed


@lru_cache(1000)
def character_test(node: Node, flags: int) -> Found:
    """Whether that part of a pattern is one character: what Python itself finds. Patterns have the same letters."""
    parser, compiler = import_module("re._parser"), import_module("re._compiler")
    state = parser.State()
    state.flags = flags
    fullmatch = compiler.compile(parser.SubPattern(state, [node])).fullmatch
    return lru_cache(200)(lambda letter: fullmatch(letter) is not None)


def is_inside_word(letter: str) -> bool:
    """As `\\b` has it."""
    return letter.isalnum() or letter == "_"


class Letters(dict[int, str]):
    """{a character, by its number: one of ASCII that answers alike to all that is asked}; filled as texts need it."""

    def __init__(self, questions: Iterable[Found]) -> None:
        self._questions = list(dict.fromkeys(questions))
        self._alike = {self._answers(letter): letter for letter in ASCII if letter != "\n"}  # lines end at that alone
        super().__init__((ord(letter), letter) for letter in ASCII)

    def __missing__(self, code: int) -> str:
        self[code] = alike = self._alike.get(self._answers(chr(code)), UNKNOWN)
        return alike

    def _answers(self, letter: str) -> tuple[bool, ...]:
        return tuple(question(letter) for question in self._questions)
