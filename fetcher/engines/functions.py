"""Functions of a job, in Python files of its own; loaded where they run."""

import importlib.util
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from fetcher.engines.tracebacks import described
from fetcher.errors import Fault, JobError


@lru_cache
def function_of(file: str, name: str) -> Callable[..., Any]:
    """The function of that name in a Python file, which is run once. Raises `JobError` where it cannot be."""
    # A name of its own: a job's `json.py` must not become everybody's `json`.
    module_name = f"_job_{Path(file).stem}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise JobError(file, [Fault(0, 0, "", "not a Python file")])
    module = sys.modules[module_name] = importlib.util.module_from_spec(spec)  # where dataclasses look for it
    try:
        spec.loader.exec_module(module)
        found: Callable[..., Any] = getattr(module, name)
    except (Exception, SystemExit) as error:
        raise JobError(file, [Fault(0, 0, "", f"cannot be loaded: {described(error)}")]) from error
    return found
