"""The service notification protocol of systemd (sd_notify(3)); without systemd it does nothing."""

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
    # A leading @ stands for the abstract namespace (unix(7)).
    name = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            sender.sendto("\n".join(assignments).encode(), name)
    except OSError as error:
        # At debug level, since a service manager that does not listen would fill the log.
        logger.debug("cannot notify the service manager of %s: %s", assignments[0], error)


def notify_reloading() -> None:
    """Report that the settings are being reloaded; `READY=1` reports the end."""
    now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notify("RELOADING=1", f"MONOTONIC_USEC={now_us}")


def watchdog_interval_s() -> float | None:
    """Return the seconds between watchdog notifications, half the timeout; None without one."""
    timeout_us, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not timeout_us.isdecimal() or pid not in ("", str(os.getpid())):
        return None
    return int(timeout_us) / 2e6
