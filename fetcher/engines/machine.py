"""What this machine has: processors and memory, those of its container where it is one."""

import multiprocessing
import os
import sys
from contextlib import suppress
from pathlib import Path

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
SHARE_FOR_WORKERS = 0.75
LEAST_SHARE = 512_000_000


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def memory_share(workers: int, limits: tuple[str, ...] = CGROUP_LIMITS) -> int | None:
    """What each of the workers may use where nobody has said it (bytes), so that some is left."""
    if sys.platform != "linux":
        return None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in limits:
        with suppress(OSError, ValueError):  # there is none, or it says "max"
            memory = min(memory, int(Path(limit).read_text()))
    return max(LEAST_SHARE, int(SHARE_FOR_WORKERS * memory / workers))


def no_processes() -> str:
    """Why this machine has no processes to share work with; nothing where it has. Some sandboxes have no semaphores."""
    try:
        multiprocessing.get_context("spawn").RLock()
    except (ImportError, OSError) as error:
        return f"this system lets processes share no locks ({error})"
    return ""
