"""From what pydantic found to what a person reads: which key, what was expected, what came."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from pydantic import BaseModel, ValidationError

from fetcher.errors import Fault
from fetcher.job.file import Job
from fetcher.job.places import KeyPath, Place
from fetcher.job.variables import within_fetch
from fetcher.job.wording import dotted, hint, shown

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

NOT_SHOWN = "the secret that is filled in here is not a value that fits (it is not shown)"
SECRET_BODIES = (("fetch", "auth", "form"), ("fetch", "auth", "json"))
_ABOUT_THE_KEY = frozenset({"missing", "extra_forbidden"})
_EXPECTED = {
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dict_type": "a table",
    "tuple_type": "a list",
    "string_type": "text in quotes",
    "bool_type": "true or false",
}


@dataclass(frozen=True, slots=True)
class Origins:
    """Where a key was written: at a place in the file, or in a `--set`."""

    places: Mapping[KeyPath, Place]
    overrides: frozenset[KeyPath]

    def fault(self, path: KeyPath, message: str) -> Fault:
        """A fault at `path`, or where its nearest known section begins; the top of the file where there is none."""
        key = dotted(path)
        ancestors = [path[:length] for length in range(len(path), 0, -1)]
        # An override replaced all below it: what the file says there no longer counts.
        if not self.overrides.isdisjoint(ancestors):
            return Fault(0, 0, f"--set {key}", message)
        for ancestor in ancestors:
            if ancestor in self.places:
                return Fault(*self.places[ancestor], key, message)
        return Fault(1, 1, key, message)


def model_faults(
    error: ValidationError, tree: Mapping[str, object], secret_paths: set[KeyPath], under: KeyPath = ()
) -> list[tuple[KeyPath, str]]:
    """(key path, message) of each thing that pydantic found wrong in `tree`, or in the section `under` that path of it;
    no message shows a secret."""
    faults = []
    for details in error.errors(include_url=False):
        path = whole = (*under, *details["loc"])
        if details["type"] != "missing":
            path = _known_part(whole, tree)
        is_about_value = details["type"] not in _ABOUT_THE_KEY and path == whole
        is_secret = is_about_value and (path in secret_paths or within_fetch(path)[:3] in SECRET_BODIES)
        faults.append((path, NOT_SHOWN if is_secret else _message(details, path)))
    return faults


def section_keys(model: type[BaseModel] = Job, path: KeyPath = ()) -> dict[KeyPath, tuple[str, ...]]:
    """{path of a section: its keys}, as the job file writes them."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    found = {path: tuple(fields)}
    for key, info in fields.items():
        for kind in (info.annotation, *get_args(info.annotation)):  # a section that may be left out is a union
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= section_keys(kind, (*path, key))
    return found


def distinct(faults: Iterable[tuple[KeyPath, str]]) -> list[tuple[KeyPath, str]]:
    """Each fault once: a rule that a model and a check both hold is reported once."""
    return list(dict.fromkeys(faults))


def _known_part(location: KeyPath, tree: object) -> KeyPath:
    """`location` without pydantic's own marks behind the key, such as '[key]' for a fault in a key's name."""
    for depth, part in enumerate(location):
        children = dict(enumerate(tree)) if isinstance(tree, list) else tree
        if not isinstance(children, dict) or part not in children:
            return location[:depth]
        tree = children[part]
    return location


def _message(details: "ErrorDetails", path: KeyPath) -> str:
    kind = details["type"]
    sections = section_keys()
    if kind == "missing":
        return "this section is missing" if path in sections else "this key is required and missing"
    path = tuple(part for part in path if not isinstance(part, int))  # of one of many sections, in a list
    if kind == "extra_forbidden":
        known = sections.get(path[:-1]) or sections.get(path[:-2], ())  # or by name
        return f"unknown key{hint(str(path[-1]), known)}"
    if kind == "value_error":
        return str(details["ctx"]["error"])
    if kind == "literal_error":
        return f"expected {details['ctx']['expected']}, got {shown(details['input'])}"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, got {shown(details['input'])}"
    return f"{details['msg']}, got {shown(details['input'])}"
