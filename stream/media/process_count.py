"""The number of media processes: as configured, or by the cores that this machine lends."""

import math
import os
from pathlib import Path

from stream.settings import StreamSettings

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
"""The limit of a container, as "QUOTA PERIOD" (cgroup v2), or "max PERIOD"."""


def available_cores() -> int:
    """Return the number of cores that this process may keep busy."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = _CPU_MAX.read_text(encoding="ascii").split()
        if quota != "max":
            cores = min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        pass
    return cores


def media_process_count(settings: StreamSettings) -> int:
    """Return the largest number of media processes; 0 if the server's own process has the video.

    A single one would only add the cost of a process. The captioner keeps most of a core busy: on
    two cores, 16 sessions lose a third of their frames with two media processes, and a twentieth in
    the server's own.
    """
    wanted = settings.media_processes
    count = available_cores() - 1 if wanted == "auto" else wanted
    return 0 if count < 2 else count
