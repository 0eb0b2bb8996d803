"""Reviews labelled by rules: fetcher's, and what people write by hand. `_labels.py bare|iterrows TABLE OUT` is one of
the latter as a program of its own."""

import csv
import json
import os
import random
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

Labels = list[list[str]]

KEYWORDS = {
    "quality": "broken cracked scratched flimsy torn defective faulty leaking wobbly rusty stained shoddy",
    "logistics": "late delayed shipping courier package parcel lost tracking warehouse customs doorstep postman",
    "service": "rude refund staff helpful agent support unhelpful reply hotline complaint callback manager",
}
PATTERNS = {"quality": r"fell apart|came loose", "logistics": r"never (came|arrived)", "service": r"refund(ed|s)"}
SPELT_OUT = {
    "fell apart": "quality",
    "came loose": "quality",
    "never came": "logistics",
    "never arrived": "logistics",
    "refunded": "service",
    "refunds": "service",
}
COMMON = """
the a and it was of to in my for with this very so is on not but they had have we just also nice good bad item
product order time day week really quite color size fit bought got warm soft price again after box
"""
WORDS = COMMON.split()
BY_LABEL = {label: words.split() for label, words in KEYWORDS.items()}
LABEL_OF = {**{word: label for label, words in BY_LABEL.items() for word in words}, **SPELT_OUT}
NEEDLES = {label: [text for text, of in LABEL_OF.items() if of == label] for label in KEYWORDS}
ALTERNATION = re.compile(rf"\b(?:{'|'.join(sorted(LABEL_OF, key=len, reverse=True))})\b")
CUT = 500
JOB = """
name = "labels"
[read.table]
path = "{table}"
[[annotate]]
into = "topics"
[annotate.rules]
field = "review"
rule = [
{rules}
]
[write]
folder = "{out}"
"""


def write_reviews(path: Path, rows: int) -> None:
    """A table of reviews, the same for the same number of rows; some have quotes, commas and line ends."""
    chance = random.Random(rows)
    spice = [*(word for words in BY_LABEL.values() for word in words), *SPELT_OUT]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "product", "rating", "review"])
        for number in range(rows):
            words = chance.choices(WORDS, k=chance.randint(10, 45))
            if chance.random() < 0.5:
                words[chance.randrange(len(words))] = chance.choice(spice)
            text = " ".join(words)
            if chance.random() < 0.3:
                text = text.replace(" and ", ", and ").capitalize() + "!"
            if chance.random() < 0.05:
                text = f'They said "{text}",\nand that was all'
            writer.writerow([number, f"P{chance.randint(1, 5000):05}", chance.randint(1, 5), text])


def write_job(folder: Path, rows: int) -> Path:
    """A job that labels a table of so many reviews beside it."""
    table = folder / "reviews.csv"
    write_reviews(table, rows)
    rules = [
        f'  {{ label = "{label}", terms = {json.dumps(words)}, patterns = ["{PATTERNS[label]}"] }},'
        for label, words in BY_LABEL.items()
    ]
    job = folder / "job.toml"
    job.write_text(JOB.format(table=table, out="out", rules="\n".join(rules)))
    return job


def run_of(job: Path, folder: Path | str) -> list[str]:
    """The program that runs a job into a folder."""
    return [sys.executable, "-m", "fetcher", "run", str(job), "--set", f"write.folder='{folder}'"]


def by_alternation(texts: Sequence[str]) -> Labels:
    """One compiled expression over the text in lower case."""
    return [labels_by_alternation(text) for text in texts]


def labels_by_alternation(text: str) -> list[str]:
    found = {LABEL_OF[match] for match in ALTERNATION.findall(text.lower())}
    return [label for label in KEYWORDS if label in found]


def by_substrings(row: Mapping[str, str]) -> list[str]:
    """What is given to `apply`."""
    text = row["review"].lower()
    return [label for label, needles in NEEDLES.items() if any(needle in text for needle in needles)]


def rules_of_fetcher() -> Callable[[Sequence[str]], Labels]:
    """fetcher's rules, a few hundred texts at a time as it hands them to its workers."""
    from fetcher.annotate.rules import Rule, Rules

    rules = Rules.ordered(Rule(label, tuple(words), (PATTERNS[label],)) for label, words in BY_LABEL.items())

    def labelled(texts: Sequence[str]) -> Labels:
        labels: Labels = []
        for at in range(0, len(texts), CUT):
            part = texts[at : at + CUT]
            found = rules.matches_among(part)
            labels += [list(found.get(place, ())) for place in range(len(part))]
        return labels

    return labelled


def measure_rules(rows: int, rounds: int) -> None:
    """The rules alone, in one process, one way after the other in each round."""
    import pandas

    with TemporaryDirectory() as folder:
        table = Path(folder) / "reviews.csv"
        write_reviews(table, rows)
        frame = pandas.read_csv(table, dtype=str, keep_default_na=False)
    texts, labelled = frame["review"].tolist(), rules_of_fetcher()
    ways: dict[str, Callable[[], Labels]] = {
        "pandas apply(axis=1)": lambda: frame.apply(by_substrings, axis=1).tolist(),
        "one alternation": lambda: by_alternation(texts),
        "fetcher's rules": lambda: labelled(texts),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    labels: dict[str, Labels] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            labels[name] = way()
            took[name].append(time.perf_counter() - began)
    told = list(labels.values())
    print(f"\nrules alone, {rows:,} reviews; the same labels everywhere: {all(found == told[0] for found in told)}")
    print_table(took, rows, "fetcher's rules")


def measure_csv(rows: int, rounds: int) -> None:
    """From a CSV file to JSON lines, each way a program of its own, its start included."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        job, table = write_job(folder, rows), folder / "reviews.csv"
        own = [sys.executable, __file__]
        ways = {
            "iterrows": [*own, "iterrows", str(table), str(folder / "iterrows.jsonl")],
            "DictReader, alternation, dumps": [*own, "bare", str(table), str(folder / "bare.jsonl")],
            "fetcher run": run_of(job, "{}"),
        }
        took: dict[str, list[float]] = {name: [] for name in ways}
        peaks = dict.fromkeys(ways, 0)
        for number in range(rounds + 1):  # the first one warms up: bytecode, and the file in memory
            for way, command in ways.items():
                seconds, peak = timed([part.replace("'{}'", f"'{folder / f'out{number}'}'") for part in command])
                if number:
                    took[way].append(seconds)
                    peaks[way] = max(peaks[way], peak)
        same = sorted(lines_of(folder / f"out{rounds}")) == sorted(lines_of(folder / "bare.jsonl"))
        print(f"\nfrom CSV to JSON lines, {rows:,} reviews; the same records: {same}")
        print_table(took, rows, "fetcher run")
        print("  peak of all processes: " + ", ".join(f"{way} {peak / 1e6:.0f} MB" for way, peak in peaks.items()))


def lines_of(path: Path) -> Iterator[str]:
    for file in sorted(path.glob("records-*.jsonl")) if path.is_dir() else [path]:
        for line in file.open():
            yield json.dumps(json.loads(line), sort_keys=True)


def timed(command: list[str]) -> tuple[float, int]:
    """The seconds that a program took, and the most memory that it and its workers had together."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began, peak = time.perf_counter(), 0
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        ended = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not ended.wait(0.05):
                peak = max(peak, sum(map(resident, family(process.pid))))

        watcher = threading.Thread(target=watch)
        watcher.start()
        code = process.wait()
        seconds = time.perf_counter() - began
        ended.set()
        watcher.join()
    if code:
        raise RuntimeError(f"{command} ended with {code}")
    return seconds, peak


def family(pid: int) -> list[int]:
    """A process and all below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        others = [task.name for task in Path(f"/proc/{pid}/task").iterdir() if task.name != str(pid)]
        for task in others:
            children += Path(f"/proc/{pid}/task/{task}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(member for child in children for member in family(int(child)))]


def resident(pid: int) -> int:
    """Bytes of a process that are in memory."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def print_table(took: Mapping[str, list[float]], rows: int, ours: str) -> None:
    """Rows a second of each way, and how many times as fast ours is, round by round; medians and ranges."""
    for name, seconds in took.items():
        rates = sorted(rows / one for one in seconds)
        times = [one / own for one, own in zip(seconds, took[ours], strict=True)]
        told = f"{statistics.median(times):5.2f} ({min(times):.2f} to {max(times):.2f})"
        print(f"  {name:32}{statistics.median(rates):12,.0f} rows/s   fetcher is {told} times as fast")


def main(way: str, table: str, out: str) -> None:
    """What people write by hand."""
    with Path(out).open("w") as written:
        if way == "bare":
            with Path(table).open(newline="") as file:
                for row in csv.DictReader(file):
                    row["topics"] = labels_by_alternation(row["review"])
                    written.write(json.dumps(row) + "\n")
            return
        import pandas

        for _, row in pandas.read_csv(table, dtype=str, keep_default_na=False).iterrows():
            record = row.to_dict()
            record["topics"] = labels_by_alternation(record["review"])
            written.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
