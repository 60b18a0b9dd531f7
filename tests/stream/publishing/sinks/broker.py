"""mosquitto, a real MQTT broker, as a process that can be stopped and restarted."""

import socket
import subprocess
import time
from pathlib import Path

from aiohttp.test_utils import unused_port

_PROGRAM = "/usr/sbin/mosquitto"
USER, PASSWORD = "guard", "swordfish"


class Broker:
    """A broker on the loopback address that requires a password."""

    def __init__(self, folder: Path, certificate: tuple[Path, Path] | None = None) -> None:
        """Prepare a broker; with a certificate and its key, it accepts only TLS."""
        self.port = unused_port()
        passwords = folder / "passwords"
        passwords.touch(0o600)
        command = ["mosquitto_passwd", "-b", str(passwords), USER, PASSWORD]
        subprocess.run(command, check=True, capture_output=True)
        lines = [
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous false",
            f"password_file {passwords}",
            "user root",
            "persistence true",
            "autosave_interval 1",
            "autosave_on_changes true",
            f"persistence_location {folder}/",
        ]
        if certificate:
            lines += [f"certfile {certificate[0]}", f"keyfile {certificate[1]}"]
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the broker, and wait until it listens."""
        self._process = subprocess.Popen(
            [_PROGRAM, "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except ConnectionRefusedError:
                assert time.monotonic() < until, "mosquitto did not start"
                time.sleep(0.02)

    def stop(self) -> None:
        """Stop the broker; retained messages persist in a file."""
        if self._process:
            self._process.terminate()
            self._process.wait(10)
        self._process = None
