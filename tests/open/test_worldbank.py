"""`configs/worldbank_indicators.toml`: `[meta, rows]`, and errors as well as "nothing found" inside a 200."""

import pytest

from fetcher.testing.air_temperature import canonical_hash
from tests.open.serving import ROOT, recorded, serving
from tests.open.worldbank import API, MEXICO, USA, WorldBank, expected, generated_series, recorded_series
from tests.stories.feeds import states

JOB = "worldbank_indicators"
ALWAYS = "1960:2030"
FIVE = [(*USA, ALWAYS), (*MEXICO, ALWAYS), ("XXX", USA[1], ALWAYS), ("USA", "NO.SUCH", ALWAYS), (*USA, "1700:1701")]


def series(*rows: tuple[str, str, str]) -> str:
    """An override: the series to ask for."""
    told = ", ".join(f'{{country="{country}", indicator="{id_}", years="{years}"}}' for country, id_, years in rows)
    return f"read.values=[{told}]"


@pytest.mark.parametrize(("one", "name", "requests"), [(USA, "usa", 3), (MEXICO, "mexico", 1)], ids=["usa", "mexico"])
def test_a_series_comes_whole(fetcher, output, job, tmp_path, source, one, name, requests):
    """All its pages; a null stays null, an empty code becomes null, years are numbers; the specification's hash."""
    known = recorded_series() if source == "recorded" else generated_series()
    with serving(WorldBank(series=known)) as api:
        ran = fetcher(*job(JOB, api, "fetch.pages.size=20", series((*one, ALWAYS))))

    assert ran.code == 0, ran.err
    assert api.stats()["by_status"] == {"200": requests}
    records = output(tmp_path / "out").records()
    assert canonical_hash(records) == canonical_hash(expected(known[one]))
    values = {(record["country"], record["year"]): record["value"] for record in records}
    assert None in values.values()
    if source == "recorded":
        told = recorded(API, "expected.json")
        assert canonical_hash(records) == (told[name]["records"], told[name]["sha256"])
        assert one is MEXICO or values["United States", 2023] is None
        assert one is MEXICO or sum(value for value in values.values() if value) == told["sum_of_values"]


def test_an_error_and_nothing_found_are_told_apart_inside_200(fetcher, output, job, tmp_path):
    """Of five series one fails, with its id and text and after one request, and two are empty."""
    with serving(WorldBank()) as api:
        ran = fetcher(*job(JOB, api, "fetch.pages.size=20", series(*FIVE)))

    assert ran.code == 3, ran.err
    assert states(tmp_path / "out") == {"done": 2, "empty": 2, "refused": 1}
    assert sum("XXX" in asked for asked in api.asked) == 1
    assert "120 The provided parameter value is not valid" in ran.err
    assert canonical_hash(output(tmp_path / "out").records()) == canonical_hash(
        [*expected(api.series[USA]), *expected(api.series[MEXICO])]
    )


def test_an_answer_in_xml_is_an_error_that_says_so(fetcher, job, tmp_path):
    """Whoever forgets to ask for JSON gets a sentence, not a traceback."""
    text = (ROOT / "configs" / f"{JOB}.toml").read_text()
    assert 'format = "json", ' in text
    (tmp_path / "job.toml").write_text(text.replace('format = "json", ', ""))
    with serving(WorldBank()) as api:
        _, _, *overrides = job(JOB, api, series((*USA, ALWAYS)))
        ran = fetcher("run", tmp_path / "job.toml", *overrides)

    assert ran.code == 3, ran.err
    assert "expected JSON, got text/xml" in ran.err
    assert "Traceback" not in ran.err
