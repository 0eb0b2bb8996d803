"""Four jobs at once that share one key and 10 requests a second, also with one of them killed in the middle."""

import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from _clients import Work, fetcher
from _servers import Seen, built_in

AT_ONCE = 4
RATE = 10
SLIDING = f"sliding-window;limit={RATE};window_s=1"
BACK_AFTER_S = 2.0


def four(seconds: float, is_killed: bool, is_back: bool) -> Seen:
    """What the server sees; `rejected` are the requests that came beyond a window of 10 in any second."""
    with ExitStack() as stack, built_in(SLIDING) as server:
        folder = Path(stack.enter_context(TemporaryDirectory()))

        def start(number: int) -> subprocess.Popen:
            work = Work(server.url, RATE, seconds, folder=folder / str(number), state=folder / "state")
            return stack.enter_context(fetcher(work))

        processes = [start(number) for number in range(AT_ONCE)]
        return server.watch(
            seconds,
            killing(processes[0], seconds, (lambda: start(0)) if is_back else None) if is_killed else lambda: None,
        )


def killing(victim: subprocess.Popen, seconds: float, again: Callable[[], object] | None) -> Callable[[], None]:
    """To be called often: kills the victim halfway, and starts it again a little later."""
    began = time.monotonic()
    is_back = again is None

    def check() -> None:
        nonlocal is_back
        passed_s = time.monotonic() - began
        if passed_s > seconds / 2 and victim.poll() is None:
            victim.kill()
        if not is_back and again and passed_s > seconds / 2 + BACK_AFTER_S:
            is_back = True
            again()

    return check
