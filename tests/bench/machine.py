"""Facts and load of the machine that a benchmark runs on."""

import os
import platform
from importlib.metadata import packages_distributions, version
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
    "tf-keras-vis",
)


def machine_facts() -> dict[str, Any]:
    """Return the cores, processor, system, Python version and versions of important packages."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in (*_PACKAGES, _tensorflow())},
    }


def load_average() -> list[float]:
    """Return the load average over the last minute, 5 minutes and 15 minutes."""
    return [round(load, 2) for load in os.getloadavg()]


def cpu_seconds(pid: int) -> float:
    """Return the user and system CPU time of a process since its start.

    Source: `/proc/PID/stat`, fields 14 and 15 (proc(5)).
    """
    stat = Path(f"/proc/{pid}/stat").read_text()
    # The second field is the program's name in parentheses, which may contain any character.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _tensorflow() -> str:
    """Return the name of the distribution that TensorFlow comes from, which differs by platform."""
    return packages_distributions()["tensorflow"][0]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
