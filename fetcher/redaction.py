"""What is done to a text before it is written anywhere: no secret is left in it, and nothing that no file can hold."""

import json
import logging
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "***"


def redacted(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, in every form that a URL, a JSON body or a `repr` may have given them.

    Halves of characters, which no file can hold, become escapes.
    """
    forms = {form for secret in secrets for form in forms_of(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, MASK)
    return text.encode("utf-8", "backslashreplace").decode()


def forms_of(secret: str) -> set[str]:
    """How a secret may be written."""
    sendable = secret.encode("utf-8", "surrogatepass")
    return {
        secret,
        quote(sendable, safe=""),
        quote(sendable),
        quote_plus(sendable),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        secret.replace("{", "{{").replace("}", "}}"),
        b64encode(sendable).decode().rstrip("="),
        urlsafe_b64encode(sendable).decode().rstrip("="),
    }


class RedactingFilter(logging.Filter):
    """For log handlers: no record of any library leaves with a secret in it."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        self._secrets = frozenset(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, redacted."""
        record.msg, record.args = redacted(record.getMessage(), self._secrets), ()
        return True


_SECRET_WORD = re.compile(
    "(api|access|auth)?(key|token)|secret|password|passwd|pass|pwd|auth|authorization|credentials?|signature|sig|"
    "(php)?sess(ion)?(id)?|cookie|jwt|bearer|appid"
)
_HARMLESS_WORD = re.compile(
    "page|next|prev(ious)?|continuation|sync|max|min|prompt|completion|total|sort|primary|foreign|idempotency"
)
_WORD_ENDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\W_]+")


def looks_secret(name: str) -> bool:
    """Whether a header, parameter or key of that name probably holds a credential: `X-Api-Key`, not `nextPageToken`."""
    words = [word.lower() for word in _WORD_ENDS.split(name)]
    if any(_HARMLESS_WORD.fullmatch(word) for word in words):
        return False
    is_id = "id" in words and ("app" in words or "client" in words)
    return is_id or any(_SECRET_WORD.fullmatch(word) for word in words)
