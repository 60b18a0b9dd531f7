"""GStreamer's RTSP server as a camera that can be stopped, restarted and suspended."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Self
from urllib.parse import quote

_SERVER = Path(__file__).with_name("gstreamer_rtsp_server.py")
# Debian's Python, not the virtual environment's: it has GStreamer's bindings.
_PYTHON = "/usr/bin/python3"


class GStreamerCamera:
    """A camera in a process of its own; a context manager."""

    def __init__(self, login: str = "", *, digest: bool = False, rate: str = "15/1") -> None:
        """Start the camera.

        Args:
            login: `user:password`; if empty, the camera requires no authentication.
            digest: Whether it requires digest instead of basic authentication.
            rate: Frames per second, as a fraction.
        """
        self._login, self._port = login, 0
        self._environment = {"CAMERA_LOGIN": login, "CAMERA_RATE": rate}
        if digest:
            self._environment["CAMERA_DIGEST"] = "1"
        self.start()

    @property
    def url(self) -> str:
        """The RTSP URL, with the login, percent-encoded."""
        login = f"{quote(self._login, safe=':')}@" if self._login else ""
        return f"rtsp://{login}127.0.0.1:{self._port}/live"

    def start(self) -> None:
        """Start the camera, on its previous port if it ran before."""
        self._process = subprocess.Popen(
            [_PYTHON, str(_SERVER), str(self._port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **self._environment},
        )
        assert self._process.stdout
        self._port = int(self._process.stdout.readline())

    def stop(self) -> None:
        """Kill the camera, as a power cut would."""
        self._process.kill()
        self._process.communicate()

    def hang(self) -> None:
        """Suspend the camera; its connections stay open."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume a suspended camera."""
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
