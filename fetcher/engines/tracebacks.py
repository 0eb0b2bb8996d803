"""What an exception says, as text: those of foreign classes do not cross processes safely."""

import sysconfig
import traceback
from functools import lru_cache
from pathlib import Path

LONGEST_REASON = 500
LONGEST_TRACE = 20_000
LIBRARIES = ("stdlib", "platstdlib", "purelib", "platlib")


def described(error: BaseException) -> str:
    """`KeyError: 'items' (air_temperature.py, line 12)`: with its place, on one line, cut where it is long."""
    try:
        said = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  (a foreign class's own text can fail too)
        said = "its text cannot be read"
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if len(text) > LONGEST_REASON:
        text = f"{text[:LONGEST_REASON]}..."
    return f"{text}{place_of(error)}"


def place_of(error: BaseException) -> str:
    """` (air_temperature.py, line 12)`: where it was raised, if that is known: of the job's own code, which is to be
    mended, rather than of a library that it has called."""
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    if not places:
        return ""
    file, line = next((place for place in reversed(places) if is_own(place[0])), places[-1])
    return f" ({Path(file).name}, line {line})"


@lru_cache
def is_own(file: str) -> bool:
    """Whether code is the job's: a Python file of no library, not of Python, not of this program."""
    path = Path(file)
    is_file = path.suffix == ".py" and path.is_absolute()  # what is compiled has the name that it was built from
    is_installed = {"site-packages", "dist-packages"}.intersection(path.parts)
    libraries = (Path(__file__).parents[1], *(Path(sysconfig.get_path(name)) for name in LIBRARIES))
    return is_file and not (is_installed or any(path.is_relative_to(one) for one in libraries))


def trace_of(error: BaseException) -> str:
    """Where it was raised, as Python shows it, without the frame that caught it; its end where it is long."""
    inner = error.__traceback__.tb_next if error.__traceback__ else None
    try:
        text = "".join(traceback.format_exception(type(error), error, inner))
    except Exception:  # noqa: BLE001  (a foreign class's own text can fail too)
        text = "".join(traceback.format_tb(inner))
    return text if len(text) <= LONGEST_TRACE else f"...{text[-LONGEST_TRACE:]}"
