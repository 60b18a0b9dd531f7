"""Cameras of this machine, as far as testable without one."""

import errno
import os
from pathlib import Path
from typing import NoReturn

import av
import pytest

from stream.sources.device import DeviceSource
from stream.sources.source import SourceError


def test_a_missing_camera_is_reported() -> None:
    with pytest.raises(SourceError, match=r"^the camera does not exist; connect it"):
        DeviceSource(Path("/dev/video250"))


def test_a_device_that_is_not_a_camera_is_reported() -> None:
    with pytest.raises(SourceError, match=r"^null is not a video camera; choose another"):
        DeviceSource(Path("/dev/null"))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.EBUSY, "is in use; close the program"),
        (errno.ENODEV, "is not a video camera"),
        (errno.EACCES, "add your user to the group video"),
        (errno.EIO, "cannot be opened as a camera"),
    ],
)
def test_errors_of_a_driver_are_described(
    monkeypatch: pytest.MonkeyPatch, code: int, reason: str
) -> None:
    # Simulated without a driver: the errors that Video4Linux2 documents.
    def refuse(*_: object, **__: object) -> NoReturn:
        raise av.error.OSError(code, os.strerror(code), "/dev/video0")

    monkeypatch.setattr(av, "open", refuse)
    with pytest.raises(SourceError, match=f"^video0 .*{reason}"):
        DeviceSource(Path("/dev/video0"))
