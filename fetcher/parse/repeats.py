"""A key that an object of an answer has twice: readers keep the one or the other, so neither can be trusted."""

import msgspec

from fetcher.errors import Quarantined
from fetcher.parse.exact import plain

_HIDDEN_COLON = b"\\u003"
_ENCODER = msgspec.json.Encoder(enc_hook=plain)


def refuse_repeated_keys(body: bytes, answer: object, is_lines: bool = False) -> None:
    """Raise `Quarantined` where an object in a JSON body has a key twice; `answer` is what the body was decoded to.

    Decoders keep the last of them without a word. Each key has a colon, so counting those before and after tells in a
    tenth of the time of looking at each object; that is done only where the numbers differ, or colons are hidden.
    """
    if body.count(b":") == _ENCODER.encode(answer).count(b":") and _HIDDEN_COLON not in body:
        return
    import json  # a worker's start waits for what is imported above

    for number, document in enumerate(body.splitlines() if is_lines else [body], 1):
        if not document.strip():
            continue
        try:
            json.loads(document, object_pairs_hook=_refuse)
        except _Repeated as error:
            where = f"line {number}" if is_lines else "the answer"
            raise Quarantined(f"{where} has an object with the key '{error.args[0]:.100}' twice") from error


class _Repeated(Exception):
    pass


def _refuse(pairs: list[tuple[str, object]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise _Repeated(next(name for place, name in enumerate(names) if name in names[:place]))
