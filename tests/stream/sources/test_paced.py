"""Recordings that play in real time."""

import itertools
import threading
import time
from pathlib import Path

import pytest

from stream.sources import file as paced
from stream.sources import open_source
from stream.sources.file import PacedSource
from tests.stream.sources.clips import write_clip


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A second of video at ten frames a second."""
    path = tmp_path / "clip.mp4"
    write_clip(path, count=10, rate=10)
    return path


def test_each_picture_comes_when_it_is_due_and_stays_as_long(clip: Path) -> None:
    began = time.monotonic()
    with PacedSource(open_source(str(clip))) as source:
        came = [(frame.position_s, time.monotonic()) for frame in source.frames()]
    first = came[0][1]
    assert len(came) == 10
    for position_s, at in came:
        assert at - first >= position_s - 0.01
    assert 1.0 <= time.monotonic() - began < 3.0


def test_who_was_held_up_goes_on_from_where_it_is(clip: Path) -> None:
    with PacedSource(open_source(str(clip))) as source:
        frames = source.frames()
        next(frames)
        time.sleep(1.5)
        began = time.monotonic()
        list(itertools.islice(frames, 5))
    assert time.monotonic() - began >= 0.35


def test_a_picture_that_is_on_for_long_is_given_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paced, "STILL_S", 0.3)
    path = tmp_path / "slides.mkv"
    write_clip(path, count=2, rate=1)
    with PacedSource(open_source(str(path))) as source:
        positions = [frame.position_s for frame in source.frames()]
    assert positions[:3] == [0.0, 0.0, 0.0]
    assert positions[-3:] == [1.0, 1.0, 1.0]


def test_closing_ends_the_wait_for_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "slides.mkv"
    write_clip(path, count=2, rate=1)
    source = PacedSource(open_source(str(path)))
    waiting = threading.Event()

    def read() -> None:
        for _ in source.frames():
            waiting.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert waiting.wait(5)
    source.close()
    reader.join(0.5)
    assert not reader.is_alive()
