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
        (' {"why": "as in ```json {}```", "a": "x"}', {"why": "as in ```json {}```", "a": "x"}),
    ],
)
def test_json_is_taken_out_of_its_fence(content, value):
    """What stands round the fence is talk; a fence within JSON is part of it."""
    assert SCHEMA.said(said(content)) == value


def test_json_with_a_fence_in_it_is_the_same_among_several_and_alone():
    """What was kept of a batch can be used again."""
    content = '{"why": "```x```", "a": "x"}'
    assert SCHEMA.said_of_each(said(f'[{{"number": 1, "answer": {content}}}]'), 1) == [content]
    assert SCHEMA.said(said(content)) == json.loads(content)


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


def each(chat: Chat, content: str, count: int) -> list[str]:
    """What was said of each record, or why that cannot be used."""
    return [str(part) for part in chat.said_of_each(said(content), count)]


def items(*told: tuple[object, object]) -> str:
    """A list of answers, as a model writes it."""
    return json.dumps([{"number": number, "answer": answer} for number, answer in told])


@given(st.permutations(range(1, 8)), st.data())
def test_each_record_has_what_was_said_under_its_number(order, data):
    """Whatever the order of the answers, and whatever is told of records that there are not."""
    labels = {number: data.draw(st.sampled_from(LABELS.labels)) for number in order}
    strange = data.draw(st.lists(st.tuples(st.integers(9, 99), st.sampled_from(LABELS.labels)), max_size=2))
    told = items(*((number, labels[number]) for number in order), *strange)
    assert each(LABELS, told, 7) == [labels[number] for number in range(1, 8)]


@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["positive", "NEUTRAL", "prose", 3, None])), max_size=9))
def test_a_record_is_believed_where_one_answer_has_its_number_and_fits(told):
    """Neither what is said twice nor what is no label; the others are kept all the same."""
    parts = LABELS.said_of_each(said(items(*told)), 6)
    for number, part in enumerate(parts, 1):
        answers = [answer for named, answer in told if named == number]
        is_good = len(answers) == 1 and str(answers[0]).lower() in ("positive", "neutral")
        assert isinstance(part, str) == is_good
        assert not is_good or part == str(answers[0]).lower()


@pytest.mark.parametrize("numbers", [(0, 1), (1, 2, 3), (0, 1, 2)])
def test_a_model_that_counts_otherwise_is_not_believed(numbers):
    """From 0, or beyond the last one: the answers may be about the records beside these."""
    with pytest.raises(Quarantined, match="counts otherwise"):
        LABELS.said_of_each(said(items(*((number, "positive") for number in numbers))), 2)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (f"```json\n{items((1, 'positive'), (2, ' Neutral.'))}\n```", ["positive", "neutral"]),
        (f'{{"answers": {items((1, "positive"), (2, "neutral"))}}}', ["positive", "neutral"]),
        (items(("1", "positive"), ("2", "neutral")), ["positive", "neutral"]),
        (items((1, "positive")), ["positive", "the model said nothing of record 2 of its batch"]),
        (items((1, "positive"), (2, 5)), ["positive", "the model said '5', which is no label"]),
        (
            items((1, "positive"), (2, "neutral"), (2, "neutral")),
            ["positive", "the model answered 2 times about record 2 of its batch"],
        ),
        ('[{"number": 1}, {"number": 2, "answer": "neutral"}]', ["the model said nothing of record 1", "neutral"]),
    ],
)
def test_answers_about_several_are_found_in_what_models_put_round_them(content, found):
    """A fence, an object, numbers that are text; what is wrong with a record is said of that record."""
    parts = each(LABELS, content, 2)
    assert all(part.startswith(expected) for part, expected in zip(parts, found, strict=True)), parts


@pytest.mark.parametrize("content", ["prose", '["positive"]', '{"a": [], "b": []}', "[1, 2]", '{"1": "positive"}', ""])
def test_what_is_no_list_of_answers_says_nothing_of_any_record(content):
    """None of it is guessed at."""
    with pytest.raises(Quarantined, match="no list of answers"):
        LABELS.said_of_each(said(content), 2)


def test_json_about_several_keeps_its_digits_and_is_held_against_the_schema():
    """As that of one record does."""
    content = '[{"number": 1, "answer": {"a": "x", "n": 1.10}}, {"number": 2, "answer": {"a": "z"}}]'
    fits, fails = SCHEMA.said_of_each(said(content), 2)
    assert fits == '{"a": "x", "n": 1.10}'
    assert "a is 'z', expected one of" in str(fails)


@given(st.text(max_size=300), st.integers(2, 5))
def test_nothing_that_is_said_of_several_breaks_it(text, count):
    """Each has an answer or a reason, or all have one reason."""
    for chat in (LABELS, SCHEMA):
        try:
            assert len(chat.said_of_each(said(text), count)) == count
        except Quarantined:
            continue
