"""A function that a job file names, "air_temperature.py:parse". It is looked for, and never run, while a job loads."""

import ast
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from fetcher.job.wording import hint, shown

_REFERENCE = re.compile(r"(?P<file>.+\.py):(?P<name>[^\W\d]\w*)")


@dataclass(frozen=True, slots=True)
class FunctionRef:
    """The function `name` at the top level of `file`."""

    file: Path
    name: str


def parse_function(value: object, folder: Path) -> FunctionRef:
    """The function that "file.py:name" means, the file relative to `folder`. Raises ValueError where there is none."""
    reference = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if reference is None:
        raise ValueError(f"expected a file and a function such as 'air_temperature.py:parse', got {shown(value)}")
    try:
        file = (folder / reference["file"]).resolve()
    # Python before 3.13 raises RuntimeError for links in a circle.
    except (OSError, RuntimeError) as error:
        raise ValueError(f"'{reference['file']}' cannot be read: {error}") from error
    name = reference["name"]
    functions = _functions(file, reference["file"])
    if name not in functions:
        raise ValueError(f"'{reference['file']}' has no function '{name}' at its top level{hint(name, functions)}")
    if isinstance(functions[name], ast.AsyncFunctionDef):
        raise ValueError(f"'{name}' in '{reference['file']}' is async; expected a plain 'def {name}(body, row)'")
    return FunctionRef(file, name)


def _functions(file: Path, shown_as: str) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    try:
        source = file.read_bytes()
    except OSError as error:
        raise ValueError(f"'{shown_as}' cannot be read: {error.strerror} ({file})") from error
    try:
        # What Python would warn about is that file's own affair.
        with warnings.catch_warnings(action="ignore"):
            module = ast.parse(source, filename=str(file))
    except SyntaxError as error:
        raise ValueError(f"'{shown_as}' is not Python: {error.msg}, line {error.lineno}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"'{shown_as}' is not Python: {error}") from error
    return {node.name: node for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
