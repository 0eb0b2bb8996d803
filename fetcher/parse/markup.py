"""XML becomes objects of text, as JSON would have them; no entity, no DTD and nothing from the network is ever read.

An element is an object of its attributes (`@id`), its children by their local names, and its own text (`#text`); one
that has only text is that text, and an empty one is null. Children of one name are a list, and so is a child alone
whose name stands before a `[` in one of the job's paths.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fetcher.errors import Fault, JobError, Quarantined

if TYPE_CHECKING:
    from lxml import etree

MISSING_EXTRA = "parse.format = 'xml' needs the package lxml: pip install 'polite-fetcher[parse]'"
_BEFORE_BRACKET = re.compile(r'(?:"([^"]+)"|(\w+))\s*\[')


@dataclass(frozen=True, slots=True)
class Xml:
    """The `elements` (XPath, with the prefixes of `namespaces`) that are wanted; without, the whole document."""

    elements: str = ""
    namespaces: tuple[tuple[str, str], ...] = ()


def list_names(paths: Iterable[str]) -> frozenset[str]:
    """The names that these paths (JMESPath) take for lists."""
    return frozenset(quoted or bare for path in paths for quoted, bare in _BEFORE_BRACKET.findall(path))


def document_of(how: Xml, body: bytes, encoding: str, lists: frozenset[str]) -> object:
    """The document, or a list of the elements that are wanted; `encoding` where it is known better than the document.

    Raises `Quarantined` for what is not well-formed, declares entities, or is too deep, and `JobError` without lxml.
    """
    try:
        from lxml import etree
    except ImportError as error:
        raise JobError("", [Fault(0, 0, "", MISSING_EXTRA)]) from error
    parser = etree.XMLParser(
        encoding=encoding or None,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Quarantined(f"the answer is not XML: {error}") from error
    _refuse_entities(root)
    if not how.elements:
        return {_local(root): _plain(root, lists)}
    try:
        found: Any = root.xpath(how.elements, namespaces=dict(how.namespaces))
    except etree.XPathError as error:
        raise Quarantined(f"parse.xml.elements cannot be applied to this answer: {error}") from error
    if not isinstance(found, list):
        raise Quarantined("parse.xml.elements finds no elements")
    return [str(one) if isinstance(one, str) else _plain(one, lists) for one in found]


def _refuse_entities(root: "etree._Element") -> None:
    """A document type may be named, and is not fetched; what it declares could make a small document a huge one."""
    from lxml import etree

    inner: Any = root.getroottree().docinfo.internalDTD
    if inner is not None and next(inner.iterentities(), None) is not None:
        raise Quarantined("the answer is XML that declares entities, which are not read")
    if next(root.iter(etree.Entity), None) is not None:
        raise Quarantined("the answer is XML with an entity that is not declared")


def _plain(element: "etree._Element", lists: frozenset[str]) -> object:
    found: dict[str, Any] = {f"@{_bare(str(name))}": str(value) for name, value in element.attrib.items()}
    text = element.text or ""
    for child in element:
        name, value = _local(child), _plain(child, lists)
        if name not in found:
            found[name] = [value] if name in lists else value
        elif name in lists or (isinstance(found[name], list)):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
        text += child.tail or ""
    if not found:
        return text or None
    if text.strip():
        found["#text"] = text.strip()
    return found


def _local(element: "etree._Element") -> str:
    return _bare(str(element.tag))


def _bare(name: str) -> str:
    return name.rpartition("}")[2]
