"""What annotators cost: each part beside what people write by hand, in one run.

scripts/bench annotate [--only rules|csv|images] [--rows 150000] [--pictures 1000] [--width 4000] [--rounds 3]
"""

import argparse
import os

import _images
import _labels


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", choices=["rules", "csv", "images"])
    options.add_argument("--rows", type=int, default=150_000)
    options.add_argument("--pictures", type=int, default=1000)
    options.add_argument("--width", type=int, default=4000)
    options.add_argument("--rounds", type=int, default=3)
    told = options.parse_args()
    print(f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} at the start")
    parts = {
        "rules": lambda: _labels.measure_rules(told.rows, told.rounds),
        "csv": lambda: _labels.measure_csv(told.rows, told.rounds),
        "images": lambda: _images.measure(told.pictures, told.width, told.rounds),
    }
    for name, measure in parts.items():
        if told.only in (None, name):
            measure()


if __name__ == "__main__":
    main()
