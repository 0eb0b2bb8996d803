"""What an exception says, as text: those of foreign classes do not cross processes safely."""

import traceback
from pathlib import Path

LONGEST_REASON = 500
LONGEST_TRACE = 20_000


def described(error: BaseException) -> str:
    """`KeyError: 'items' (air_temperature.py, line 12)`: the innermost place, on one line, cut where it is long."""
    try:
        said = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  (a foreign class's own text can fail too)
        said = "its text cannot be read"
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if len(text) > LONGEST_REASON:
        text = f"{text[:LONGEST_REASON]}..."
    return f"{text}{place_of(error)}"


def place_of(error: BaseException) -> str:
    """` (air_temperature.py, line 12)`: where it was raised, if that is known."""
    frames = list(traceback.walk_tb(error.__traceback__))
    return f" ({Path(frames[-1][0].f_code.co_filename).name}, line {frames[-1][1]})" if frames else ""


def trace_of(error: BaseException) -> str:
    """Where it was raised, as Python shows it, without the frame that caught it; its end where it is long."""
    inner = error.__traceback__.tb_next if error.__traceback__ else None
    try:
        text = "".join(traceback.format_exception(type(error), error, inner))
    except Exception:  # noqa: BLE001  (a foreign class's own text can fail too)
        text = "".join(traceback.format_tb(inner))
    return text if len(text) <= LONGEST_TRACE else f"...{text[-LONGEST_TRACE:]}"
