"""`python -m tests.stories.dying_reparse STEP TURN MOMENT JOB`: a reparse that dies at a step of its last act.

It dies before or after a step that puts the new in the place of the old, when it is taken for the TURN-th time.
"""

import os
import sys
from typing import Any

from fetcher import generation, launch
from fetcher.launch import load_job, run
from fetcher.ledger import Ledger
from fetcher.selection import RunOptions
from fetcher.write.disk import RealDisk

DEAD, ALIVE = 9, 8


def dying(step, turn: int, moment: str):
    """The step, which ends the process."""
    left = turn

    def taken(*arguments, **named):
        nonlocal left
        left -= 1
        if not left and moment == "before":
            os._exit(DEAD)
        done = step(*arguments, **named)
        if not left:
            os._exit(DEAD)
        return done

    return taken


def main(name: str, turn: str, moment: str, job: str) -> None:
    owner = next(owner for owner in (generation, RealDisk, Ledger) if name in vars(owner))
    last, take_over = dying(getattr(owner, name), int(turn), moment), generation.take_over

    async def taking_over(*arguments):
        setattr(owner, name, last)
        await take_over(*arguments)

    if name == "begin":
        generation.begin = last
    else:
        where: Any = launch
        where.take_over = taking_over
    run(load_job(job), RunOptions(reparse=True))
    os._exit(ALIVE)


if __name__ == "__main__":
    main(*sys.argv[1:])
