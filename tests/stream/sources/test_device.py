"""Cameras of this machine; what can be tested without one."""

import errno
import os
from pathlib import Path
from typing import NoReturn

import av
import pytest

from stream.sources.reader import DeviceSource
from stream.sources.source import SourceError


def test_an_absent_camera_is_told() -> None:
    with pytest.raises(SourceError, match="/dev/video250 is not there: connect the camera"):
        DeviceSource(Path("/dev/video250"))


def test_a_device_that_is_no_camera_is_told() -> None:
    with pytest.raises(
        SourceError, match="/dev/null is no camera that sends pictures: choose of: "
    ):
        DeviceSource(Path("/dev/null"))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.EBUSY, "in use by another program: close that program"),
        (errno.ENODEV, "is no camera that sends pictures"),
        (errno.EACCES, "add the user to the group `video`"),
        (errno.EIO, "cannot be opened as a camera"),
    ],
)
def test_what_a_driver_answers_is_told(
    monkeypatch: pytest.MonkeyPatch, code: int, reason: str
) -> None:
    # No driver is there to be provoked: these are the errors that Video4Linux2 documents.
    def refuse(*_: object, **__: object) -> NoReturn:
        raise av.error.OSError(code, os.strerror(code), "/dev/video0")

    monkeypatch.setattr(av, "open", refuse)
    with pytest.raises(SourceError, match=f"/dev/video0 .*{reason}"):
        DeviceSource(Path("/dev/video0"))
