"""Who gets a processor first: the loop, which has moments to keep, and whatever else is there, before the workers."""

import ctypes
import os
import struct
import sys

NICE = 10
SLICE_NS = 100_000_000
"""The longest that Linux takes (since 6.12; before, it takes none). Who wakes up and asks for a shorter one, as all do
by default, gets the processor at once; niceness alone leaves it to the worker for some milliseconds more."""

SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
"""The number of the system call, which Python and older C libraries have no name for."""

ATTRIBUTES = struct.Struct("<IIQiIQQQ")
"""struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period."""


def give_way() -> None:
    """Let other processes go before this one: a tenth of a processor is left to it where they want all of it."""
    nice = os.nice(NICE)
    if sys.platform == "linux" and (number := SCHED_SETATTR.get(os.uname().machine)):
        attributes = ATTRIBUTES.pack(ATTRIBUTES.size, os.sched_getscheduler(0), 0, nice, 0, SLICE_NS, 0, 0)
        ctypes.CDLL(None).syscall(number, 0, attributes, 0)  # one that is refused leaves things as they are
