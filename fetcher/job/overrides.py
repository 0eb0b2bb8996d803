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
            paths.add(_put(tree, path, value))
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


def _put(tree: dict[str, object], path: tuple[str, ...], value: object) -> KeyPath:
    """Put a value into the tree; returns its path there, in which a place in a list is a number."""
    place: list[str | int] = []
    table: object = tree
    for key in path[:-1]:
        table = _within(table, key, place)
    if not isinstance(table, dict):
        raise ValueError(f"'{dotted(place)}' is not a table, so nothing can be set in it")
    table[path[-1]] = value
    return (*place, path[-1])


def _within(table: object, key: str, place: list[str | int]) -> object:
    """What is under a key of a table, which is made where it is not there, or at a place in a list."""
    if isinstance(table, list):
        if not (key.isascii() and key.isdigit() and int(key) < len(table)):
            raise ValueError(f"'{dotted(place)}' has {len(table)} entries, and none is number {key}")
        place.append(int(key))
        return table[int(key)]
    if not isinstance(table, dict):
        raise ValueError(f"'{dotted(place)}' is not a table, so nothing can be set in it")
    place.append(key)
    return table.setdefault(key, {})
