"""XML, and what it must not do."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import JobError, Quarantined
from fetcher.parse.markup import list_names
from tests.parse.shaping import records

XML = 'format = "xml"\n'
WHOLE = XML + 'records = "@"'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<a>1</a>", "1"),
        ("<a> 1 </a>", " 1 "),
        ("<a/>", None),
        ("<a></a>", None),
        ('<a x="1"/>', {"@x": "1"}),
        ('<a x="1"> t </a>', {"@x": "1", "#text": "t"}),
        ("<a><b>1</b><c/></a>", {"b": "1", "c": None}),
        ("<a><b>1</b><b>2</b><b/></a>", {"b": ["1", "2", None]}),
        ("<a>x<b>1</b>y</a>", {"b": "1", "#text": "xy"}),
        ("<a>1<!-- c -->2<?pi x?></a>", "12"),
        ("<a>&lt;&#233;<![CDATA[<b>]]></a>", "<é<b>"),
        ('<n:a xmlns:n="urn:n" n:x="1"><n:b.c>1</n:b.c></n:a>', {"@x": "1", "b.c": "1"}),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>', "Ã©"),
    ],
)
def test_an_element_is_what_json_would_have(body, expected):
    """Attributes with @, text with #, names without their namespace; text alone is a text."""
    assert records(WHOLE, body) == [{"a": expected}]


def test_a_child_alone_is_a_list_where_a_path_takes_it_for_one():
    """Else an answer with one point would be another shape than one with two."""
    section = XML + 'records = "a.p[].q[]"\nfields = { v = "v", n = "^.n[0]" }'
    for body, values in (("<q><v>1</v></q>", "1"), ("<q><v>1</v></q><q><v>2</v></q>", "12"), ("", "")):
        found = records(section, f"<a><p><n>7</n>{body}</p></a>")
        assert found == [{"v": value, "n": "7"} for value in values]
    assert list_names(['a.p[].q[*]."x y" [0]', "length(b[?c])"]) == {"p", "q", "x y", "b"}


def test_elements_are_picked_by_xpath_with_the_jobs_prefixes():
    """Texts that an XPath finds are records by their fields."""
    body = '<a xmlns="urn:x"><p k="1"><v>1</v></p><q><p k="2"><v>2</v></p></q></a>'
    xml = "xml = { elements = '%s', namespaces = { e = 'urn:x' } }\n"
    section = XML + xml.replace("'", '"')
    assert records(section % "//e:p", body) == [{"@k": "1", "v": "1"}, {"@k": "2", "v": "2"}]
    assert records(section % "//e:p/@k" + 'fields.k = "@"', body) == [{"k": "1"}, {"k": "2"}]
    assert records(section % "//p", body) == []
    with pytest.raises(Quarantined, match=r"parse\.xml\.elements finds no elements"):
        records(section % "count(//e:p)", body)


DECLARED = "<!DOCTYPE a [{}]><a>{}</a>"
BOMB = "".join(f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    "body",
    [
        DECLARED.format('<!ENTITY a "ha">' + BOMB, "&i;"),
        DECLARED.format('<!ENTITY x SYSTEM "file:///etc/hostname">', "&x;"),
        DECLARED.format('<!ENTITY x SYSTEM "http://127.0.0.1:9/x">', "&x;"),
        DECLARED.format('<!ENTITY % x SYSTEM "http://127.0.0.1:9/x"> %x;', ""),
        DECLARED.format('<!ENTITY x "never used">', ""),
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd"><a>&x;</a>',
    ],
    ids=["bomb", "file", "network", "parameter", "unused", "undeclared"],
)
def test_c11_entities_are_refused(body):
    """Neither expanded, nor read from a file or the network, nor left out in silence."""
    with pytest.raises(Quarantined, match=r"entit|not XML"):
        records(WHOLE, body)


def test_c11_a_document_type_is_not_fetched():
    """Its address is nobody's; the document is read without it, and no default of it comes in."""
    body = '<!DOCTYPE a PUBLIC "-//X//Y" "http://127.0.0.1:9/x.dtd" [<!ATTLIST a k CDATA "v">]><a>1</a>'
    (found,) = records(WHOLE, body)
    assert found in ({"a": "1"}, {"a": {"@k": "v", "#text": "1"}})  # the document's own default may count
    assert records(WHOLE, '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd"><a>1</a>') == [{"a": "1"}]


@pytest.mark.parametrize(
    "body",
    ["", "<a>", "<a></b>", "text", '{"a":1}', "<a>&nbsp;</a>", "<a>\0</a>", "<a/><b/>", "<a>" * 5000 + "</a>" * 5000],
)
def test_what_is_not_well_formed_is_an_error_of_its_row(body):
    """And so is what is nested too deeply."""
    with pytest.raises(Quarantined, match=r"^the answer is (not )?XML"):
        records(WHOLE, body)


@given(st.binary())
def test_any_bytes_are_xml_or_refused(body):
    """No body brings down a run."""
    try:
        records(WHOLE, b"<a>" + body + b"</a>")
    except Quarantined as error:
        assert str(error)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode("latin-1"), "text/xml"),
        ('<?xml version="1.0" encoding="utf-8"?><a>é</a>'.encode("latin-1"), "text/xml; charset=iso-8859-1"),
        ('<?xml version="1.0" encoding="utf-16"?><a>é</a>'.encode("utf-16"), "text/xml"),
        ('\ufeff<?xml version="1.0"?><a>é</a>'.encode(), "application/xml; charset=utf-8"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode(), "text/xml; charset=utf-8"),
    ],
)
def test_c07_a_header_stands_above_the_documents_own_word(body, content_type):
    """RFC 7303, section 3.2: mark, header, declaration."""
    assert records(WHOLE, body, content_type=content_type) == [{"a": "é"}]


def test_a_missing_extra_is_named(monkeypatch):
    """What to install is said, when the job is loaded and in a worker that has another environment."""
    monkeypatch.setitem(sys.modules, "lxml", None)
    monkeypatch.setitem(sys.modules, "lxml.etree", None)
    with pytest.raises(ValueError, match=r"needs the package lxml: pip install 'polite-fetcher\[parse\]'"):
        records(WHOLE, "<a/>")
    monkeypatch.undo()
    from fetcher.parse.markup import Xml, document_of

    monkeypatch.setitem(sys.modules, "lxml", None)
    with pytest.raises(JobError, match=r"pip install 'polite-fetcher\[parse\]'"):
        document_of(Xml(), b"<a/>", "", frozenset())
