"""Live video over HTTP: it has no end, its newest frame comes first, and its age is known."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stream.sources.file import RealTimeSource
from stream.sources.source import SourceError, SourceFrame
from stream.sources.url import UrlSource
from tests.support.clips import write_clip
from tests.support.servers.live_streams import LiveCamera
from tests.support.servers.source_servers import Response, WebServer

MAX_AGE_S = 0.8
"""Far below the seconds for which frames are held back, far above the delays of a busy machine."""


def age_of(frame: SourceFrame, camera: LiveCamera) -> float:
    """Return how long ago a frame was captured, in seconds."""
    return time.time() - camera.captured[camera.number_of(frame.image)]


@pytest.mark.parametrize(
    ("container", "chunked"), [("flv", False), ("mp4", True), ("mpegts", True)]
)
def test_a_stream_without_length_and_duration_is_live_until_it_is_lost(
    container: str, chunked: bool
) -> None:
    camera = LiveCamera(container, limit=40)
    with (
        WebServer({"/live": Response(camera.send, chunked=chunked)}) as server,
        UrlSource(f"{server.url}/live") as source,
    ):
        assert source.live
        frames = source.frames()
        last = next(frames)
        assert age_of(last, camera) < MAX_AGE_S
        with pytest.raises(SourceError, match=r"stopped sending .*; check that it is on"):
            for frame in frames:
                last = frame
    assert camera.number_of(last.image) >= 38
    # Some cameras serve one client only, so there was one connection.
    assert server.requested == ["/live"]


def send_null_packets(write: Callable[[bytes], object], stopping: threading.Event) -> None:
    """Send packets of MPEG-TS without content (ISO/IEC 13818-1, table 2-3) without end."""
    while not stopping.wait(0.05):
        write(b"\x47\x1f\xff\x10" + bytes(184))


def test_opening_a_stream_of_nothing_but_filling_times_out() -> None:
    with (
        WebServer({"/live": Response(send_null_packets)}) as server,
        pytest.raises(SourceError, match=r"sent no video within \d"),
    ):
        UrlSource(f"{server.url}/live", open_timeout_s=1)


def test_the_reading_thread_ends_although_filling_follows_the_video() -> None:
    camera = LiveCamera("mpegts", limit=20)

    def send(write: Callable[[bytes], object], stopping: threading.Event) -> None:
        camera.send(write, stopping)
        send_null_packets(write, stopping)

    with WebServer({"/live": Response(send)}) as server:
        source = UrlSource(f"{server.url}/live", read_timeout_s=1)
        with pytest.raises(SourceError, match="has sent no video for 1 s"):
            list(source.frames())
        source.close()
        names = [thread.name for thread in threading.enumerate()]
        assert not any(name.startswith("source http") for name in names)


def test_after_a_stall_the_newest_frame_follows_and_held_back_frames_have_their_age() -> None:
    camera, stall_s = LiveCamera("flv"), 2.0
    with (
        WebServer({"/live": Response(camera.send, chunked=True)}) as server,
        UrlSource(f"{server.url}/live") as source,
    ):
        frames = source.frames()
        next(frames)
        camera.passing.clear()
        threading.Timer(stall_s, camera.passing.set).start()
        resumed, errors = time.monotonic() + stall_s, []
        while time.monotonic() < resumed + MAX_AGE_S:
            frame = next(frames)
            age_s = age_of(frame, camera)
            errors.append(abs(time.time() - frame.captured - age_s))
            assert abs(time.time() - frame.captured - frame.held_back_s) < MAX_AGE_S
        assert age_s < MAX_AGE_S
        # Frames that were held back for up to two seconds are among them.
        assert max(errors) < MAX_AGE_S


def test_frames_that_the_server_has_kept_are_skipped() -> None:
    camera = LiveCamera("flv")
    camera.passing.clear()
    threading.Timer(2.0, camera.passing.set).start()
    with (
        WebServer({"/live": Response(camera.send)}) as server,
        UrlSource(f"{server.url}/live") as source,
    ):
        assert age_of(next(source.frames()), camera) < MAX_AGE_S


def whole(path: Path) -> Callable[[Callable[[bytes], object], threading.Event], None]:
    return lambda write, _: (write(path.read_bytes()), None)[1]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clip.mp4", {"movflags": "faststart"}),
        ("clip.mkv", {}),
        ("clip.flv", {}),
    ],
)
def test_a_recording_without_length_is_one_if_it_declares_its_duration(
    tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    path = tmp_path / name
    write_clip(path, count=30, rate=10, options=options)
    with (
        WebServer({f"/{name}": Response(whole(path), chunked=True)}) as server,
        UrlSource(f"{server.url}/{name}") as source,
    ):
        assert not source.live
        assert len(list(source.frames())) == 30


def test_a_recording_in_fragments_may_declare_its_duration(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(
        path, count=30, rate=10, options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    )
    data = bytearray(path.read_bytes())
    # Insert `mehd` (ISO/IEC 14496-12, section 8.8.2) with the 3 s of the recording into `mvex`.
    timescale = data[data.index(b"mvhd") + 16 : data.index(b"mvhd") + 20]
    extent = 3 * int.from_bytes(timescale, "big")
    mehd = b"\0\0\0\x10mehd\0\0\0\0" + extent.to_bytes(4, "big")
    for box in (b"moov", b"mvex"):
        at = data.index(box) - 4
        data[at : at + 4] = (int.from_bytes(data[at : at + 4], "big") + 16).to_bytes(4, "big")
    at = data.index(b"mvex") + 4
    data[at:at] = mehd
    path.write_bytes(data)
    with (
        WebServer({"/clip.mp4": Response(whole(path), chunked=True)}) as server,
        UrlSource(f"{server.url}/clip.mp4") as source,
    ):
        assert not source.live
        assert len(list(source.frames())) == 30


def test_the_end_of_a_broadcast_in_segments_means_that_it_is_lost(tmp_path: Path) -> None:
    write_clip(tmp_path / "0.ts", count=10, rate=10, codec="mpeg2video")
    # Without an end tag, like a live broadcast.
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n0.ts\n"
    pages = {"/live.m3u8": playlist.encode(), "/0.ts": (tmp_path / "0.ts").read_bytes()}
    shown = []
    with (
        WebServer(pages) as server,
        UrlSource(f"{server.url}/live.m3u8", read_timeout_s=1) as source,
        pytest.raises(SourceError, match=r"stopped sending|has sent no video"),
    ):
        for frame in source.frames():
            shown.append(frame)
    assert len(shown) >= 5


@pytest.mark.parametrize("stated_s", [None, 90.0])
@pytest.mark.parametrize("is_master", [False, True])
def test_the_age_of_a_broadcast_in_segments_is_that_of_its_playlist(
    tmp_path: Path, is_master: bool, stated_s: float | None
) -> None:
    write_clip(tmp_path / "0.ts", count=20, rate=10, codec="mpeg2video")
    segment = (tmp_path / "0.ts").read_bytes()
    date = ""
    if stated_s:
        begin = datetime.now(UTC) - timedelta(seconds=stated_s + 2)
        date = f"#EXT-X-PROGRAM-DATE-TIME:{begin.isoformat()}\n"
    # Without an end tag, like a live broadcast; it starts with the third segment from the end.
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n" + date
    playlist += "".join(f"#EXTINF:2.0,\n{number}.ts\n" for number in range(4))
    master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000\nmedia.m3u8\n"
    pages = {f"/{number}.ts": segment for number in range(4)}
    pages |= {"/media.m3u8": playlist.encode(), "/master.m3u8": master.encode()}
    name = "master" if is_master else "media"
    with (
        WebServer(pages) as server,
        UrlSource(f"{server.url}/{name}.m3u8") as source,
        RealTimeSource(source) as broadcast,
    ):
        first = next(broadcast.frames())
        age_s = time.time() - first.captured
    assert first.held_back_s == pytest.approx(age_s, abs=0.5)
    assert age_s == pytest.approx(stated_s or 6.0, abs=1.5)
