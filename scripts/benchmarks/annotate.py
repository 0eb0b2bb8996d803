"""What annotators cost: each part beside what people write by hand, in one run.

scripts/bench annotate [--only images] [--pictures 1000] [--width 4000] [--rounds 3]
"""

import argparse
import os

import _images


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", choices=["images"])
    options.add_argument("--pictures", type=int, default=1000)
    options.add_argument("--width", type=int, default=4000)
    options.add_argument("--rounds", type=int, default=3)
    told = options.parse_args()
    print(f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} at the start")
    _images.measure(told.pictures, told.width, told.rounds)


if __name__ == "__main__":
    main()
