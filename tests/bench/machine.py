"""What the measuring was done on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "ai-edge-litert",
    "aiohttp",
    "aioice",
    "aiortc",
    "av",
    "keras",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "tensorflow",
    "tf-keras-vis",
)


def facts() -> dict[str, Any]:
    """Cores, processor, system, Python and the packages that do the work."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
    }


def load_average() -> list[float]:
    """How many processes wanted a core, over the last minute, 5 minutes and 15 minutes."""
    return [round(load, 2) for load in os.getloadavg()]


def cpu_seconds(process: int) -> float:
    """What a process has used since its start, in its own code and in the system's.

    See proc(5), `/proc/PID/stat`, fields 14 and 15.
    """
    stat = Path(f"/proc/{process}/stat").read_text()
    # The second field is the program's name in parentheses, which may hold anything.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
