"""Tells systemd how it goes with the service (sd_notify(3)); elsewhere it does nothing."""

import logging
import os
import socket
import time

logger = logging.getLogger(__name__)


def notify(*assignments: str) -> None:
    """Send assignments such as `READY=1` to the service manager, if there is one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    # A name that begins with @ is in the abstract namespace (unix(7)).
    name = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.setblocking(False)
            line.sendto("\n".join(assignments).encode(), name)
    except OSError as problem:
        # One that does not listen is not to fill the log.
        logger.debug("the service manager cannot be told %s: %s", assignments[0], problem)


def notify_reloading() -> None:
    """Say that settings are being read again; `READY=1` says that this is over."""
    now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notify("RELOADING=1", f"MONOTONIC_USEC={now_us}")


def watchdog_interval_s() -> float | None:
    """How often the service manager wants to hear of the event loop: twice as often as it must."""
    timeout_us, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not timeout_us.isdecimal() or pid not in ("", str(os.getpid())):
        return None
    return int(timeout_us) / 2e6
