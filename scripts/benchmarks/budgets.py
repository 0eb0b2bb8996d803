"""How long a run takes where an API has a budget of requests and one of tokens, in what the budgets themselves need.

    scripts/bench budgets [KEY=VALUE...]

`configs/reviews.toml` against the emulated chat completions of tests/open: 120 requests and 12,000 tokens in two
seconds, two buckets that are full at first and fill evenly. Needed is what an unhindered client would wait for them.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.open.openai_chat import KEY, ChatCompletions, generated_reviews, write_reviews  # noqa: E402
from tests.open.serving import Bucket, serving  # noqa: E402

REQUESTS, TOKENS, PER_S, REVIEWS = 120, 12_000, 2.0, 400


def main() -> None:
    api = ChatCompletions(requests_left=Bucket(REQUESTS, PER_S), tokens_left=Bucket(TOKENS, PER_S))
    with tempfile.TemporaryDirectory() as name, serving(api):
        folder = Path(name)
        write_reviews(generated_reviews(count=REVIEWS), folder / "reviews.csv")
        sets = [
            f"fetch.base_url='{api.url}'",
            f'fetch.limits.rate="{TOKENS}/{PER_S:g} s"',
            f"read.table.path='{folder / 'reviews.csv'}'",
            f"write.folder='{folder / 'out'}'",
            *sys.argv[1:],
        ]
        told = [part for text in sets for part in ("--set", text)]
        environ = {**os.environ, "OPENAI_API_KEY": KEY, "FETCHER_STATE": str(folder / "state")}
        command = [sys.executable, "-m", "fetcher", "run", str(ROOT / "configs" / "reviews.toml"), *told]
        began = time.monotonic()
        ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        took_s = time.monotonic() - began
    sent = sum(api.by_status.values())
    needed_s = PER_S * max((api.tokens - TOKENS) / TOKENS, (sent - REQUESTS) / REQUESTS)
    print(f"exit {ran.returncode}; {sent} requests, {api.tokens:,} tokens, {api.told_to_retry} told to try again")
    print(
        f"took {took_s:.1f} s, start and end included; the budgets need {needed_s:.1f} s: {took_s / needed_s:.2f} times"
    )


if __name__ == "__main__":
    main()
