"""Network sources, with real servers on the loopback interface."""

import base64
import itertools
import threading
import time
import traceback
import uuid
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from aiohttp.test_utils import unused_port

from stream.sources.source import SourceError, SourceFrame
from stream.sources.url import UrlSource
from tests.support.clips import CORNERS, corners, pixels, write_clip
from tests.support.servers.gstreamer_camera import GStreamerCamera
from tests.support.servers.source_servers import (
    MjpegCamera,
    Response,
    RtspCamera,
    WebServer,
    silent_server,
)


def brightness(frame: SourceFrame) -> int:
    return round(float(np.mean(frame.image.to_ndarray(format="gray"))))


def brightness_of(number: int) -> int:
    return 20 + 5 * number


def two_frames(camera: MjpegCamera) -> None:
    camera.send(brightness_of(0))
    camera.send(brightness_of(1))
    camera.hang()


def send_nothing(*_: object) -> None:
    """Send an empty body."""


@pytest.fixture
def idle_camera() -> Iterator[str]:
    """The URL of a camera that sends two frames and then nothing more."""
    with WebServer({"/camera": two_frames}) as server:
        yield f"{server.url}/camera"


def test_a_video_behind_http_is_read_completely_at_the_readers_pace(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, count=30, rate=10, options={"movflags": "faststart"})
    with (
        WebServer({"/clip.mp4": path.read_bytes()}) as server,
        UrlSource(f"{server.url}/clip.mp4") as source,
    ):
        assert not source.live
        frames = list(source.frames())
    assert [frame.position_s for frame in frames] == pytest.approx([n / 10 for n in range(30)])
    assert corners(frames[-1].image) == CORNERS


def test_only_the_latest_frame_of_a_camera_is_returned() -> None:
    taken, sent = threading.Event(), threading.Event()

    def thirty_frames(camera: MjpegCamera) -> None:
        for number in range(30):
            # FFmpeg needs the first few frames to detect the format.
            if number == 8:
                taken.wait(5)
            camera.send(brightness_of(number))
        sent.set()
        camera.hang()

    with (
        WebServer({"/camera": thirty_frames}) as server,
        UrlSource(f"{server.url}/camera") as source,
    ):
        assert source.live
        frames = source.frames()
        first = next(frames)
        taken.set()
        assert sent.wait(5)
        time.sleep(0.4)
        second = next(frames)
    # By now the reading thread is at the last frame, or close to it.
    assert brightness(second) >= brightness_of(25) - 2
    assert second.position_s > first.position_s >= 0.0
    assert 0.0 <= time.time() - first.captured < 60.0


def test_a_slow_camera_is_open_after_few_frames() -> None:
    with RtspCamera(rate=10) as camera, UrlSource(f"rtsp://127.0.0.1:{camera.port}/live"):
        assert camera.sent < 12


def test_a_camera_that_stops_sending_is_lost(idle_camera: str) -> None:
    with (
        UrlSource(idle_camera, read_timeout_s=0.3) as source,
        pytest.raises(SourceError, match=r"has sent no video for 0\.3 s; check"),
    ):
        list(source.frames())


def test_a_camera_that_sends_only_garbage_is_lost() -> None:
    def garbage(camera: MjpegCamera) -> None:
        camera.send(brightness_of(0))
        camera.send_garbage()

    with (
        WebServer({"/camera": garbage}) as server,
        UrlSource(f"{server.url}/camera", read_timeout_s=0.3) as source,
        pytest.raises(SourceError, match=r"has sent no video for 0\.3 s; check"),
    ):
        list(source.frames())


def test_closing_ends_a_wait_for_a_silent_camera(idle_camera: str) -> None:
    source = UrlSource(idle_camera, read_timeout_s=60.0)
    waiting, ended = threading.Event(), threading.Event()

    def read() -> None:
        for _ in source.frames():
            waiting.set()
        ended.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert waiting.wait(5)
    source.close()
    source.close()
    assert ended.wait(5)
    reader.join()


def test_the_reading_thread_ends_with_the_source() -> None:
    with WebServer({"/camera": two_frames}) as server:
        source = UrlSource(f"{server.url}/camera", read_timeout_s=0.3)
        next(source.frames())
        assert "source http" in " ".join(thread.name for thread in threading.enumerate())
        source.close()
    assert "source http" not in " ".join(thread.name for thread in threading.enumerate())


def test_a_disconnect_is_reported_after_the_last_frame() -> None:
    def five_frames(camera: MjpegCamera) -> None:
        for number in range(5):
            camera.send(brightness_of(number))

    shown = []
    with (
        WebServer({"/camera": five_frames}) as server,
        UrlSource(f"{server.url}/camera") as source,
        pytest.raises(SourceError, match=r"stopped sending .*; check that it is on"),
    ):
        for frame in source.frames():
            shown.append(brightness(frame))
    assert shown[-1] == pytest.approx(brightness_of(4), abs=2)


def test_an_rtsp_camera_is_read() -> None:
    with RtspCamera() as camera, UrlSource(f"rtsp://127.0.0.1:{camera.port}/live") as source:
        assert source.live
        frames = source.frames()
        first, second = next(frames), next(frames)
    assert (first.image.width, first.image.height) == (64, 48)
    assert brightness(first) == pytest.approx(200, abs=4)
    assert second.position_s > first.position_s >= 0.0


def test_a_frame_that_is_complete_with_the_next_one_is_as_old_as_the_interval() -> None:
    with GStreamerCamera(rate="2/1") as camera, UrlSource(camera.url) as source:
        frames = itertools.islice(source.frames(), 4)
        ages = [time.time() - frame.captured for frame in frames][1:]
    assert 0.4 < sorted(ages)[1] < 1.0


def test_a_password_opens_a_camera_and_is_not_disclosed() -> None:
    wrong = uuid.uuid4().hex
    with RtspCamera("anna", "sesame") as camera:
        address = f"127.0.0.1:{camera.port}/live"
        with UrlSource(f"rtsp://anna:sesame@{address}") as source:
            assert source.name == f"rtsp://127.0.0.1:{camera.port}"
            next(source.frames())
        with pytest.raises(SourceError, match=r"denied access.*put the user name") as refusal:
            UrlSource(f"rtsp://anna:{wrong}@{address}?key={wrong}")
    assert wrong not in "".join(traceback.format_exception(refusal.value))


def test_a_udp_stream_is_read() -> None:
    port, stop = unused_port(), threading.Event()

    def send() -> None:
        with av.open(f"udp://127.0.0.1:{port}?pkt_size=1316", "w", format="mpegts") as output:
            stream = output.add_stream("mpeg2video", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 120, np.uint8))
            number = 0
            while not stop.wait(0.02):
                frame.pts = number
                output.mux(stream.encode(frame))
                number += 1

    sender = threading.Thread(target=send)
    sender.start()
    try:
        with UrlSource(f"udp://127.0.0.1:{port}") as source:
            assert source.live
            assert brightness(next(source.frames())) == pytest.approx(120, abs=4)
    finally:
        stop.set()
        sender.join()


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (404, "responded with 404 Not Found; check the path"),
        (401, "denied access .*; put the user name and password"),
        (403, "denied access .*; put the user name and password"),
        (500, "responded with an error"),
        (b"<!doctype html><title>Hello</title>" * 50, "sent no video"),
        (b"Hello there, this is a text.\n" * 50, "no video"),
    ],
)
def test_a_response_without_video_is_reported(page: bytes | int, reason: str) -> None:
    with (
        WebServer({"/camera": page}) as server,
        pytest.raises(SourceError, match=rf"^http://127\.0\.0\.1:{server.port} .*{reason}"),
    ):
        UrlSource(f"{server.url}/camera")


@pytest.mark.parametrize("scheme", ["http", "rtsp", "rtmp"])
def test_a_refused_connection_is_reported(scheme: str) -> None:
    with pytest.raises(SourceError, match="refused the connection; check that it is on"):
        UrlSource(f"{scheme}://127.0.0.1:{unused_port()}/live")


@pytest.mark.parametrize("scheme", ["http", "rtsp", "rtmp"])
def test_a_server_that_never_responds_times_out(scheme: str) -> None:
    with silent_server() as port, pytest.raises(SourceError, match=r"no video within \d"):
        UrlSource(f"{scheme}://127.0.0.1:{port}/live", open_timeout_s=0.3)


def test_a_udp_port_without_packets_times_out() -> None:
    with pytest.raises(SourceError, match=r"no video within \d"):
        UrlSource(f"udp://127.0.0.1:{unused_port()}", open_timeout_s=0.3)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://", "has no host"),
        ("rtsp:///live", "has no host"),
        ("http://camera:99999/", "malformed"),
        ("http://[camera/", "malformed"),
        ("gopher://camera/", "gopher:// are not supported; use one of rtsp://"),
        ("concat://a|b", "concat:// are not supported"),
    ],
)
def test_a_malformed_url_is_reported(url: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        UrlSource(url)


def test_a_playlist_from_the_network_cannot_read_local_files(tmp_path: Path) -> None:
    path = tmp_path / "private.ts"
    write_clip(path, codec="mpeg2video")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile://{path}\n#EXT-X-ENDLIST\n"
    with (
        WebServer({"/list.m3u8": playlist.encode()}) as server,
        pytest.raises(SourceError),
        UrlSource(f"{server.url}/list.m3u8", open_timeout_s=2.0, read_timeout_s=2.0) as source,
    ):
        next(source.frames())


def test_an_hls_playlist_is_read(tmp_path: Path) -> None:
    path = tmp_path / "part.ts"
    write_clip(path, count=30, rate=10, codec="mpeg2video")
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\npart.ts\n#EXT-X-ENDLIST\n"
    pages = {"/list.m3u8": playlist.encode(), "/part.ts": path.read_bytes()}
    with WebServer(pages) as server, UrlSource(f"{server.url}/list.m3u8") as source:
        assert not source.live
        assert len(list(source.frames())) == 30


@pytest.mark.parametrize("digest", [False, True])
def test_an_escaped_password_opens_an_rtsp_camera(digest: bool) -> None:
    with (
        GStreamerCamera("anna:a#b/c?d@e:f%40g h", digest=digest) as camera,
        UrlSource(camera.url) as source,
    ):
        assert "a%23b%2Fc%3Fd%40e" in camera.url
        assert next(source.frames()).image.width == 320
        assert source.name == f"rtsp://{camera.url.rpartition('@')[2].removesuffix('/live')}"
        with pytest.raises(SourceError, match="denied access"):
            UrlSource(camera.url.replace("%23", "%24"))


def test_an_escaped_password_opens_an_http_camera() -> None:
    login = base64.b64encode(b"anna:a#b/c?d@e").decode()

    denied = Response(send_nothing, {"WWW-Authenticate": 'Basic realm="camera"'}, 401)
    with WebServer({"/camera": denied}) as server, pytest.raises(SourceError, match="denied"):
        UrlSource(f"http://anna:a%23b%2Fc%3Fd%40e@127.0.0.1:{server.port}/camera")
    assert server.authorizations == [None, f"Basic {login}"]


def test_a_redirect_to_another_host_receives_no_password() -> None:
    denied = Response(send_nothing, {"WWW-Authenticate": 'Basic realm="camera"'}, 401)
    with WebServer({"/camera": denied}) as other:
        elsewhere = {"Location": f"http://localhost:{other.port}/camera"}
        with (
            WebServer({"/camera": Response(send_nothing, elsewhere, 302)}) as server,
            pytest.raises(SourceError, match=f"^http://127.0.0.1:{server.port} denied access"),
        ):
            UrlSource(f"http://anna:sesame@127.0.0.1:{server.port}/camera")
    assert other.authorizations and set(other.authorizations) == {None}


@pytest.mark.parametrize("password", ["12#34", "12/34", "12?34", "12@34", "12@34/56", "a/b", "a#b"])
@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_password_with_an_unescaped_character_is_sent_to_no_host(
    scheme: str, password: str
) -> None:
    with pytest.raises(SourceError, match=r"percent-encode .*@ as %40.*/ as %2F") as refusal:
        UrlSource(f"{scheme}://localhost:{password}@camera.invalid/live")
    assert "12" not in str(refusal.value) and "localhost" not in str(refusal.value)


def test_a_segmented_broadcast_is_read_at_the_readers_pace(tmp_path: Path) -> None:
    segments: dict[str, bytes] = {}
    for number in range(3):
        write_clip(tmp_path / "segment.ts", count=10, rate=10)
        segments[f"/{number}.ts"] = (tmp_path / "segment.ts").read_bytes()
    # Without an end tag, like a live broadcast.
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n" + "".join(
        f"#EXT-X-DISCONTINUITY\n#EXTINF:1.0,\n{name[1:]}\n" for name in segments
    )
    with (
        WebServer({"/live.m3u8": playlist.encode(), **segments}) as server,
        UrlSource(f"{server.url}/live.m3u8") as source,
    ):
        assert not source.live
        frames = list(itertools.islice(source.frames(), 25))
    assert source.replaced == 0
    positions = [frame.position_s for frame in frames]
    assert positions == sorted(positions)
    assert positions[-1] == pytest.approx(2.4, abs=0.15)


def test_a_snapshot_url_of_a_camera_is_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.jpg"
    cv2.imwrite(str(path), pixels()[:, :, ::-1])
    with (
        WebServer({"/snapshot.jpg": path.read_bytes()}) as server,
        UrlSource(f"{server.url}/snapshot.jpg") as source,
    ):
        assert not source.live
        (frame,) = source.frames()
    assert corners(frame.image) == CORNERS
