"""A program that tells what it was given."""

import os
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    print("|".join(sys.argv[1:]), time.tzname[0], os.environ["COLUMNS"], os.environ.get("PATH"), Path.cwd(), sep="\n")
