"""`configs/review_sentiment.toml`: the same API asked by a model annotator; each line is a record already."""

from pathlib import Path

import pytest

from fetcher.testing.air_temperature import canonical_hash
from tests.open.openai_chat import (
    API,
    KEY,
    ChatCompletions,
    Kind,
    expected,
    generated_reviews,
    ids,
    kind,
    recorded_reviews,
    unlabelled,
    write_reviews,
)
from tests.open.serving import recorded, serving

JOB = "review_sentiment"


@pytest.fixture
def reviews(source):
    """Rows to label."""
    return recorded_reviews() if source == "recorded" else generated_reviews()


@pytest.fixture
def labelling(annotating, tmp_path, monkeypatch):
    """`labelling(api, rows)`: the arguments that label those rows."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def arguments(api: ChatCompletions, rows: list[dict[str, str]], *overrides: str) -> list[str]:
        write_reviews(rows, tmp_path / "reviews.csv")
        told = [f"read.table.path='{tmp_path / 'reviews.csv'}'", 'annotate.0.model.limits.rate="12000/0.5 s"']
        return annotating(JOB, api, *told, *overrides)

    return arguments


def as_told(records: list[dict]) -> list[dict]:
    """Records as the specification has them: with no other columns, and a number for text."""
    return [{"id": int(record["id"]), "sentiment": record["sentiment"]} for record in records]


def everything_written(folder: Path) -> bytes:
    """All bytes of all files under a folder."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_reviews_are_labelled_and_the_report_adds_up(fetcher, output, labelling, tmp_path, source, reviews):
    """Labels, skipped rows and failed ones; unusable answers are asked for again, impossible requests are not."""
    with serving(ChatCompletions()) as api:
        ran = fetcher(*labelling(api, reviews))

    assert ran.code == 3, ran.err
    records = as_told(output(tmp_path / "out").records())
    assert canonical_hash(records) == canonical_hash(expected(reviews))
    failed = ids(reviews, Kind.PROSE_ALWAYS, Kind.TOO_LARGE)
    assert len(records) + len(failed) + len(list(unlabelled(reviews))) == len(reviews)
    assert all(api.per_text[text] == 1 for text in api.per_text if kind(text) is Kind.TOO_LARGE)
    assert all(api.per_text[text] == 3 for text in api.per_text if kind(text) is Kind.PROSE_ALWAYS)
    assert api.told_to_retry <= 0.08 * sum(api.by_status.values())
    assert f"{api.tokens:,} spent" in ran.err
    assert KEY not in ran.out + ran.err
    assert KEY.encode() not in everything_written(tmp_path / "out")
    if source == "recorded":
        told = recorded(API, "expected.json")
        assert canonical_hash(records) == (told["labelled"]["records"], told["labelled"]["sha256"])
        assert sorted(unlabelled(reviews)) == told["skipped_empty_text"]
        assert sorted(failed) == [entry["id"] for entry in told["failed"]]


def test_failed_reviews_have_their_reasons_and_are_not_paid_for_again(fetcher, labelling, tmp_path):
    """What the model cannot do it will not be asked for at every run; who wants that says `failures retry`."""
    rows = generated_reviews()
    with serving(ChatCompletions()) as api:
        arguments = labelling(api, rows)
        assert fetcher(*arguments).code == 3
        api.taken()
        assert fetcher(*arguments).code == 3
        assert api.taken() == []
    ran = fetcher("failures", "list", *arguments[1:])
    lines = ran.out.splitlines()
    assert len(lines) == len(ids(rows, Kind.PROSE_ALWAYS, Kind.TOO_LARGE))
    assert sum("is no JSON; 3 answers" in line for line in lines) == len(ids(rows, Kind.PROSE_ALWAYS))
    assert sum("reduce your prompt" in line for line in lines) == len(ids(rows, Kind.TOO_LARGE))
    assert all("annotate[0].model" in line for line in lines)


def test_a_used_up_quota_ends_the_run_and_the_next_one_asks_for_the_rest(fetcher, output, labelling, tmp_path):
    """Hardly anything is asked after the first such answer; no label is paid for twice."""
    rows = generated_reviews()
    with serving(ChatCompletions(quota=40)) as api:
        ran = fetcher(*labelling(api, rows))
        assert ran.code == 75, ran.err
        assert "exceeded your current quota" in ran.err
        assert "unknown" not in ran.err  # what was turned away is not lost
        assert 20 <= len(output(tmp_path / "out").records()) <= 40
        assert sum(api.per_text.values()) <= 40 + 16 + 20
        before = dict(api.per_text)
        labelled = {int(record["id"]) for record in output(tmp_path / "out").records()}
        api.quota = None

        ran = fetcher(*labelling(api, rows))
    assert ran.code == 3, ran.err
    texts = {int(row["id"]): row["Review Text"] for row in rows}
    assert all(api.per_text[texts[id_]] == before[texts[id_]] for id_ in labelled)
    assert canonical_hash(as_told(output(tmp_path / "out").records())) == canonical_hash(expected(rows))


def test_a_wrong_key_is_asked_with_once_and_ends_the_run(fetcher, labelling, monkeypatch, tmp_path):
    """At most one request a worker, no retry; the key is nowhere in what is shown or written."""
    with serving(ChatCompletions()) as api:
        arguments = labelling(api, generated_reviews())
        monkeypatch.setenv("OPENAI_API_KEY", "canary-key")
        ran = fetcher(*arguments)
    assert ran.code == 78, ran.err
    assert 1 <= api.by_status[401] <= 16
    assert "Incorrect API key" in ran.err
    assert "canary-key" not in ran.out + ran.err
    assert b"canary-key" not in everything_written(tmp_path / "out")
