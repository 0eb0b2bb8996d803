"""What annotators cost: each part beside what people write by hand, in one run.

scripts/bench annotate [--only rules|csv] [--rows 150000] [--rounds 5]
"""

import argparse
import os

import _labels


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", choices=["rules", "csv"])
    options.add_argument("--rows", type=int, default=150_000)
    options.add_argument("--rounds", type=int, default=5)
    told = options.parse_args()
    print(f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} at the start")
    parts = {
        "rules": lambda: _labels.measure_rules(told.rows, told.rounds),
        "csv": lambda: _labels.measure_csv(told.rows, told.rounds),
    }
    for name, measure in parts.items():
        if told.only in (None, name):
            measure()


if __name__ == "__main__":
    main()
