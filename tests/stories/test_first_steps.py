"""From an address to records, as somebody does who has never seen the program."""

import json
import os
import re
import shlex
import subprocess
import sys

from tests.stories.conftest import ROOT


def commands() -> list[str]:
    """The commands of the README's section, without what makes them possible."""
    text = (ROOT / "README.md").read_text().partition("## Four commands")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [line for line in block.splitlines() if line.startswith("fetcher ")]


def test_four_commands_lead_from_an_address_to_records(serve, tmp_path):
    """As the README writes them: a draft, a check without a request, records on the screen, records in a file; the run
    asks for nothing that the preview has seen, and each record says when it is from."""
    api = serve("--limit", "none")
    told = commands()
    assert len(told) == 4

    def ran(line: str) -> str:
        arguments = shlex.split(line.replace("http://127.0.0.1:8765", api.url), comments=True)[1:]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "fetcher", *arguments]
        found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
        assert found.returncode == 0, found.stderr
        return found.stdout

    ran(told[0])
    assert api.stats()["requests"] == 1
    assert "rows     7: 2019-06-01, 2019-06-02" in ran(told[1])
    assert api.stats()["requests"] == 1
    shown = ran(told[2])
    assert re.search(
        r'^    {"station_id":"S06","value":[\d.]+,"timestamp":"2019-06-01T00:00:00\+08:00"}$', shown, re.MULTILINE
    )
    assert re.findall(r"^\S+$", shown, re.MULTILINE) == ["2019-06-01", "2019-06-02", "2019-06-03"]
    assert api.stats()["requests"] == 4
    ran(told[3])
    assert api.stats()["requests"] == 8
    records = (tmp_path / "data" / "air-temperature" / "records-000001.jsonl").read_text().splitlines()
    assert {json.loads(record)["timestamp"][:10] for record in records} == {f"2019-06-0{day}" for day in range(1, 8)}
    assert set(json.loads(records[0])) == {"timestamp", "station_id", "value"}
