"""GStreamer's RTSP server as a camera that can be stopped, started again, and made to hang."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Self

_SERVER = Path(__file__).with_name("rtsp_server.py")


# Debian's, whatever virtual environment the tests run in: it has the bindings of GStreamer.
_PYTHON = "/usr/bin/python3"


class RtspCamera:
    """The camera, a process of its own; a context manager that ends it."""

    def __init__(self, login: str = "") -> None:
        """Start it, asking for a login (`user:password`) if one is given."""
        self._login, self._port = login, 0
        self.start()

    @property
    def url(self) -> str:
        """Where it is, with the login."""
        return f"rtsp://{self._login}{'@' if self._login else ''}127.0.0.1:{self._port}/live"

    def start(self) -> None:
        """Start it, at the port that it had before."""
        self._process = subprocess.Popen(
            [_PYTHON, str(_SERVER), str(self._port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "CAMERA_LOGIN": self._login},
        )
        assert self._process.stdout
        self._port = int(self._process.stdout.readline())

    def stop(self) -> None:
        """End it, as if its plug were pulled."""
        self._process.kill()
        self._process.communicate()

    def hang(self) -> None:
        """Have it answer nothing and send nothing; connections stay open."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Have it go on where it was."""
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
