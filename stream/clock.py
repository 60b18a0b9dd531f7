"""The clock for ages, durations and deadlines, which nobody can set.

`time.time` is for times that people read. A step of that clock must not change how old a frame is.
"""

import sys
import time

# On Linux the monotonic clock stands still while the machine is suspended. On macOS it does not.
_CLOCK = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC


def boottime() -> float:
    """Return the seconds since the machine was started, with the time that it was suspended."""
    return time.clock_gettime(_CLOCK)
