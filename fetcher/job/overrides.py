"""`--set fetch.limits.concurrency=8`: a key of the job file from the command line, its value written as TOML."""

import tomllib
from collections.abc import Sequence

from fetcher.errors import Fault
from fetcher.job.places import KeyPath, find_mentions
from fetcher.job.wording import dotted


def apply_overrides(tree: dict[str, object], overrides: Sequence[str]) -> tuple[set[KeyPath], list[Fault]]:
    """Put each override into `tree`, the later ones last. Returns the paths they set and what is wrong with them."""
    paths: set[KeyPath] = set()
    faults = []
    for override in overrides:
        try:
            path, value = read_override(override)
            _put(tree, path, value)
            paths.add(tuple(path))
        except ValueError as error:
            key = override.partition("=")[0].strip()
            faults.append(Fault(0, 0, f"--set {key}" if key else "--set", str(error)))
    return paths, faults


def read_override(override: str) -> tuple[tuple[str, ...], object]:
    """The key's path and the value. Raises ValueError where either is not TOML."""
    mentions = [mention for mention in find_mentions(override) if mention.place[0] == 1]
    path: tuple[str, ...] = ()
    for mention in mentions:
        path = tuple(str(part) for part in mention.path)
        if mention.is_own:
            break
    if not path or "=" not in override:
        raise ValueError("expected KEY=VALUE, such as fetch.limits.concurrency=8")
    try:
        tree: object = tomllib.loads(override)
    except (ValueError, RecursionError) as error:
        raise ValueError("the value is not TOML; text needs quotes of its own: --set 'KEY=\"text\"'") from error
    for part in path:
        if not isinstance(tree, dict) or set(tree) != {part}:
            raise ValueError("expected one KEY=VALUE, such as fetch.limits.concurrency=8")
        tree = tree[part]
    return path, tree


def _put(tree: dict[str, object], path: tuple[str, ...], value: object) -> None:
    table = tree
    for depth, key in enumerate(path[:-1], start=1):
        inner = table.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ValueError(f"'{dotted(path[:depth])}' is not a table, so nothing can be set in it")
        table = inner
    table[path[-1]] = value
