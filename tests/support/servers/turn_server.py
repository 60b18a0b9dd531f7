"""coturn, the most common TURN server, on the loopback interface."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp.test_utils import unused_port

TURNSERVER = "/usr/bin/turnserver"

_START_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class TurnServer:
    """A running TURN server."""

    url: str
    secret: str
    log: Path


@contextmanager
def turn_server(folder: Path) -> Iterator[TurnServer]:
    """Run coturn with credentials derived from a shared secret, until the context ends."""
    secret, port, log = "a secret shared with coturn", unused_port(), folder / "coturn.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(TURNSERVER, "-n", "--no-tls", "--no-dtls", "--no-cli", "--realm", "tests"),
                *("--listening-ip", "127.0.0.1", "--listening-port", str(port)),
                *("--relay-ip", "127.0.0.1", "--allow-loopback-peers"),
                *("--use-auth-secret", "--static-auth-secret", secret),
                *("--pidfile", str(folder / "coturn.pid"), "--userdb", str(folder / "users")),
                *("--log-file", "stdout", "--simple-log", "--verbose"),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_listening(port, process)
        yield TurnServer(f"turn:127.0.0.1:{port}", secret, log)
    finally:
        process.terminate()
        process.wait(10)


def _wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("coturn did not start")
