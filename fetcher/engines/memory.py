"""What a worker may use of memory, and when it holds so much of that, of files or of threads that a new one should take
its place."""

import errno
import os
import resource
import sys
import threading

SPENT_SHARE = 0.5
"""Of the limit. Who leaks is replaced long before an item that needs no more than its due fails for it."""

MOST_THREADS = 64
"""More than a worker has at its start. Each takes its stack from the memory that is allocated."""

PAGES = "/proc/self/statm"


def limit_memory(memory: int) -> None:
    """Let this process use no more than so many bytes: what wants more gets a `MemoryError`.

    RLIMIT_DATA counts what is allocated. RLIMIT_AS would count addresses, of which libraries reserve far more than they
    use (measured: pandas 357 MB of addresses, 143 MB of data, 101 MB in use). Linux only.
    """
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


class Gauge:
    """Whether this worker has come to hold so much that it should make room for a new one. It is made when a worker
    begins; `memory` is its limit."""

    def __init__(self, memory: int | None) -> None:
        self._file = os.open(PAGES, os.O_RDONLY | os.O_CLOEXEC) if memory and sys.platform == "linux" else -1
        spent = int(SPENT_SHARE * (memory or 0))
        self._most_pages = spent // os.sysconf("SC_PAGE_SIZE")
        files, stack = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_STACK))
        self._one = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._most_files = int(SPENT_SHARE * files) if files != resource.RLIM_INFINITY else sys.maxsize
        stacks = spent // stack if memory and stack > 0 else MOST_THREADS
        self._most_threads = threading.active_count() + max(1, min(stacks, MOST_THREADS))

    def is_high(self) -> bool:
        """At present."""
        return self._is_full() or self._has_many_files() or threading.active_count() > self._most_threads

    def _is_full(self) -> bool:
        return self._file >= 0 and int(os.pread(self._file, 64, 0).split()[1]) > self._most_pages

    def _has_many_files(self) -> bool:
        """By the first number that none of them has: a few microseconds less than to count them."""
        try:
            free = os.dup(self._one)
        except OSError as error:
            return error.errno == errno.EMFILE
        os.close(free)
        return free > self._most_files


def size_text(size: int) -> str:
    """`1 GB`, `1.07 GB`"""
    power = min(3, max(0, (len(str(size)) - 1) // 3))
    return f"{size / 1000**power:.3g} {('B', 'kB', 'MB', 'GB')[power]}"
