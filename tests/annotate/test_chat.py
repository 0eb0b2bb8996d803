"""What models say, and whether it can be used."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.annotate.chat import Chat
from fetcher.errors import Quarantined

LABELS = Chat(("positive", "neutral", "U.S."))
SCHEMA = Chat(schema={"type": "object", "required": ["a"], "properties": {"a": {"enum": ["x", "y"]}}})


def said(content: object, **choice: object) -> dict:
    """An answer of the API."""
    message = {"role": "assistant", "content": content, "refusal": choice.pop("refusal", None)}
    return {"choices": [{"message": message, "finish_reason": "stop", **choice}]}


@pytest.mark.parametrize(
    ("content", "label"),
    [
        ("positive", "positive"),
        (" Positive.\n", "positive"),
        ('"neutral"', "neutral"),
        ("**Neutral**", "neutral"),
        ("```\npositive\n```", "positive"),
        ("u.s.", "U.S."),
    ],
)
def test_a_label_is_found_in_what_models_put_round_it(content, label):
    """Case, quotes, a full stop, marks of emphasis, a fence."""
    assert LABELS.said(said(content)) == label


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ('{"a": "x"}', {"a": "x"}),
        ('```json\n{"a": "y"}\n```', {"a": "y"}),
        ('Here it is:\n```JSON\r\n{"a": "y"}```\nAnything else?', {"a": "y"}),
        ('{"why": "so", "a": "x"}', {"why": "so", "a": "x"}),
    ],
)
def test_json_is_taken_out_of_its_fence(content, value):
    """What stands round the fence is talk."""
    assert SCHEMA.said(said(content)) == value


@pytest.mark.parametrize(
    ("chat", "answer", "message"),
    [
        (LABELS, said("I think it is positive"), "'I think it is positive', which is no label"),
        (LABELS, said(""), "'', which is no label"),
        (LABELS, said(None), "the model said nothing"),
        (LABELS, said("positive", finish_reason="length"), "cut short at max_tokens"),
        (LABELS, said(None, refusal="I cannot"), "the model refuses: 'I cannot'"),
        (LABELS, {"choices": []}, "has no choices[0].message"),
        (LABELS, ["no object"], "has no choices[0].message"),
        (SCHEMA, said("mostly fine"), "'mostly fine', which is no JSON"),
        (SCHEMA, said('{"a": "z"}'), "a is 'z', expected one of ['x', 'y']"),
        (SCHEMA, said('{"b": "x"}'), "'a' is missing"),
        (SCHEMA, said('["x"]'), "it is array, expected object"),
        (SCHEMA, said("word " * 100), "..."),
    ],
)
def test_what_cannot_be_used_is_told(chat, answer, message):
    """With the first words of what was said, on one line."""
    with pytest.raises(Quarantined) as caught:
        chat.said(answer)
    assert message in str(caught.value)
    assert chat.fault(json.dumps(answer).encode()) == str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_an_answer_that_is_no_json_cannot_be_used():
    """A page of a proxy, or half of an answer."""
    assert "not JSON" in LABELS.fault(b"<html>")
    assert LABELS.fault(json.dumps(said("neutral")).encode()) == ""


@given(st.sampled_from(LABELS.labels), st.sampled_from(["", " ", "\n", '"', "'", "`", "**", ". "]))
def test_every_label_is_known_by_itself(label, around):
    """Whatever its case."""
    assert LABELS.said(said(f"{around}{label.upper()}{around}")) == label


@given(st.text(max_size=300))
def test_nothing_that_is_said_breaks_it(text):
    """It is a label, or it is refused."""
    for chat in (LABELS, SCHEMA):
        try:
            chat.said(said(text))
        except Quarantined:
            continue
