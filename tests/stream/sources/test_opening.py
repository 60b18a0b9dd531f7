"""Opening a source by what a user enters."""

import os
from pathlib import Path

import pytest
from aiohttp.test_utils import unused_port
from PIL import Image

from stream.sources import SourceError, open_source
from stream.sources.demo import DemoSource
from stream.sources.file import FileSource
from stream.sources.image import ImageSource
from stream.sources.url import UrlSource
from tests.support.clips import pixels, write_clip
from tests.support.servers.source_servers import WebServer


def test_the_demo_is_opened_by_name() -> None:
    with open_source("demo") as source:
        assert isinstance(source, DemoSource)


def test_an_image_is_detected_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "named-like-a-video.mp4"
    Image.fromarray(pixels()).save(path, "png")
    with open_source(str(path)) as source:
        assert isinstance(source, ImageSource)


def test_a_video_is_detected_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "named-like-an-image.jpg"
    write_clip(path, count=2, container="mp4")
    with open_source(str(path)) as source:
        assert isinstance(source, FileSource)


def test_a_relative_path_with_the_name_demo_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(pixels()).save("demo", "png")
    with open_source("./demo") as source:
        assert isinstance(source, ImageSource)


def test_a_url_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, count=2, options={"movflags": "faststart"})
    with (
        WebServer({"/clip.mp4": path.read_bytes()}) as server,
        # A keyboard may begin a word with a capital (RFC 3986, section 3.1).
        open_source(f"{server.url}/clip.mp4".replace("http", "Http")) as source,
    ):
        assert isinstance(source, UrlSource)


@pytest.mark.parametrize("spec", ["250", "/dev/video250"])
def test_a_number_is_a_camera(spec: str) -> None:
    with pytest.raises(SourceError, match=r"^the camera does not exist"):
        open_source(spec)


def test_a_refused_connection_is_reported() -> None:
    with pytest.raises(SourceError, match="refused the connection"):
        open_source(f"rtsp://127.0.0.1:{unused_port()}/live")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("", "no source given; use demo"),
        ("no-such-file.mp4", "^the source is neither an existing file nor a URL .*; use demo"),
        ("pyproject.toml/clip", r"^the source cannot be read \(Not a directory\); use demo"),
        ("cam.local/video?user=bob&password=hunter2", "^the source is neither"),
        ("bob:hunter2@cam.local/video", "^the source is neither"),
        (r"rtsp:/bob:p\w'd@host/x", "^the source's URL has a mistyped scheme; write it as"),
        ("rtsp:bob:hunter2@host/x", "^the source's URL has a mistyped scheme; write it as"),
        ("http//bob:hunter2@host/x", "^the source's URL has a mistyped scheme; write it as"),
        ("x" * 5000, "cannot be read"),
        ("a\0b", "cannot be read"),
        ("/", "is a folder"),
        ("/dev/null", "is not a video camera"),
        ("gopher://camera/", "gopher:// are not supported"),
    ],
)
def test_anything_else_is_refused_with_a_reason(spec: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        open_source(spec)


@pytest.mark.parametrize("name", ["empty.mp4", "empty.png"])
def test_an_empty_file_is_reported(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    with pytest.raises(SourceError, match=f"{name} is empty"):
        open_source(str(path))


def test_a_pipe_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(SourceError, match="is not a regular file"):
        open_source(str(path))


def test_a_text_file_named_like_a_video_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "story.mp4"
    path.write_text("A dog runs over a field.\n" * 100)
    with pytest.raises(SourceError, match="cannot be read as a video"):
        open_source(str(path))


def test_a_file_name_that_is_not_valid_unicode_is_opened(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    write_clip(tmp_path / "clip.mp4", count=2)
    (tmp_path / "clip.mp4").rename(path)
    with open_source(str(path)) as source:
        assert len(list(source.frames())) == 2
