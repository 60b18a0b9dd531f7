"""Video files, intact and damaged, and their playback in real time."""

import gc
import io
import itertools
import resource
import threading
import time
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import psutil
import pytest
from av.video.stream import VideoStream
from PIL import Image

from stream.sources import file, open_source
from stream.sources.file import FileSource, RealTimeSource
from stream.sources.source import Source, SourceError, SourceFrame
from tests.support.clips import CORNERS, corners, is_open, pixels, write_clip
from tests.support.servers.source_servers import WebServer

ORIENTATIONS = {
    "as recorded": (1, 0, 0, 1),
    "a quarter right": (0, 1, -1, 0),
    "upside down": (-1, 0, 0, -1),
    "a quarter left": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "mirrored upside down": (1, 0, 0, -1),
    "mirrored a quarter right": (0, 1, 1, 0),
    "mirrored a quarter left": (0, -1, -1, 0),
}


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "size"),
    [
        ("clip.mp4", "libx264", "yuv420p", (96, 64)),
        ("clip.mkv", "ffv1", "yuv422p10le", (97, 65)),
        ("clip.webm", "libvpx", "yuv420p", (64, 96)),
        ("clip.avi", "mjpeg", "yuvj444p", (320, 240)),
        ("clip.mov", "rawvideo", "rgb24", (33, 17)),
        ("deep.mp4", "libx264", "yuv420p10le", (96, 64)),
        ("clip.ts", "libx264", "yuv420p", (96, 64)),
    ],
)
def test_every_frame_is_read_in_order(
    tmp_path: Path, name: str, codec: str, pixel_format: str, size: tuple[int, int]
) -> None:
    path = tmp_path / name
    write_clip(path, count=12, rate=10, size=size, codec=codec, pixel_format=pixel_format)
    with FileSource(path) as source:
        assert not source.live
        assert source.name == name
        frames = list(source.frames())
    assert [frame.position_s for frame in frames] == pytest.approx([n / 10 for n in range(12)])
    assert {(frame.image.width, frame.image.height) for frame in frames} == {size}
    assert all(corners(frame.image) == CORNERS for frame in frames)


@pytest.mark.parametrize("matrix", ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
def test_frames_are_turned_upright(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    path = tmp_path / "phone.mp4"
    write_clip(path, count=2, size=(96, 64), matrix=matrix)
    with FileSource(path) as source:
        first, second = source.frames()
    # The display matrix maps the point (x, y) to (a x + c y, b x + d y).
    a, b, c, d = matrix
    assert corners(first.image) == {
        (a * x + c * y, b * x + d * y): colour for (x, y), colour in CORNERS.items()
    }
    is_landscape = a != 0
    assert (first.image.width, first.image.height) == ((96, 64) if is_landscape else (64, 96))
    assert first.image.time == 0.0
    assert second.image.time == pytest.approx(0.1)


def _write_mjpeg(path: Path, images: list[bytes], size: tuple[int, int]) -> None:
    """Write JPEG images as an MJPEG recording of ten frames per second, as cameras send it."""
    with av.open(path, "w") as output:
        stream = output.add_stream("mjpeg", rate=10)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p"
        for number, data in enumerate(images):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 10)
            packet.pts = packet.dts = number
            output.mux(packet)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_frames_with_exif_data_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    path, image = tmp_path / "camera.avi", io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Camera"
    Image.fromarray(pixels()).save(image, "jpeg", exif=exif, quality=95)
    _write_mjpeg(path, [image.getvalue()] * 20, (96, 64))
    with FileSource(path) as source:
        frames = list(source.frames())
    # As above, by EXIF orientation (CIPA DC-008, section 4.6.4).
    a, b, c, d = {
        1: (1, 0, 0, 1),
        2: (-1, 0, 0, 1),
        3: (-1, 0, 0, -1),
        4: (1, 0, 0, -1),
        5: (0, 1, 1, 0),
        6: (0, 1, -1, 0),
        7: (0, -1, -1, 0),
        8: (0, -1, 1, 0),
    }[orientation]
    assert len(frames) == 20
    assert corners(frames[-1].image) == {
        (a * x + c * y, b * x + d * y): colour for (x, y), colour in CORNERS.items()
    }


@pytest.mark.parametrize(
    ("size", "aspect", "square_size"),
    [
        ((176, 288), Fraction(2, 1), (352, 288)),
        ((720, 576), Fraction(16, 15), (768, 576)),
        ((720, 480), Fraction(8, 9), (720, 540)),
        ((96, 64), Fraction(1, 1), (96, 64)),
        ((96, 64), Fraction(200, 201), (96, 64)),
        ((96, 64), Fraction(500, 1), (96, 64)),
    ],
)
def test_samples_become_square(
    tmp_path: Path, size: tuple[int, int], aspect: Fraction, square_size: tuple[int, int]
) -> None:
    path = tmp_path / "anamorphic.mp4"
    write_clip(path, count=2, size=size, aspect=aspect)
    with FileSource(path) as source:
        first, second = source.frames()
    assert (first.image.width, first.image.height) == square_size
    assert corners(first.image) == corners(second.image) == CORNERS
    assert second.image.time == pytest.approx(0.1)


def test_samples_become_square_before_the_frame_is_turned(tmp_path: Path) -> None:
    path = tmp_path / "phone.mp4"
    write_clip(path, count=1, size=(176, 288), aspect=Fraction(2, 1), matrix=(0, 1, -1, 0))
    with FileSource(path) as source:
        (frame,) = source.frames()
    assert (frame.image.width, frame.image.height) == (288, 352)


def test_an_avi_with_b_frames_keeps_its_length(tmp_path: Path) -> None:
    path = tmp_path / "b.avi"
    write_clip(path, count=100, rate=10, codec_options={"bf": "2", "b_strategy": "0"})
    with FileSource(path) as source:
        positions = [frame.position_s for frame in source.frames()]
    assert positions == pytest.approx([n / 10 for n in range(100)])


@pytest.mark.parametrize(
    ("name", "leap_s"), [("jump.mkv", 50_000.0), ("jump.ts", 50_000.0), ("jump.ts", -30.0)]
)
def test_positions_continue_where_timestamps_leap(tmp_path: Path, name: str, leap_s: float) -> None:
    path = tmp_path / name
    before = [40 + n / 10 for n in range(25)]
    after = [time_s + 2.5 + leap_s for time_s in before]
    if name.endswith("mkv"):
        write_clip(path, times=[*before, *after])
    else:
        # In two parts, because muxers refuse timestamps that go back.
        for times in (before, after):
            part = tmp_path / "part.ts"
            write_clip(part, times=times, codec="mpeg2video", options={"copyts": "1"})
            with path.open("ab") as whole:
                whole.write(part.read_bytes())
    with FileSource(path) as source:
        positions = [frame.position_s for frame in source.frames()]
    assert positions == pytest.approx([n / 10 for n in range(50)], abs=0.15)
    assert positions == sorted(positions)


@pytest.mark.parametrize("name", ["pause.mkv", "pause.mp4"])
def test_a_gap_keeps_its_length(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    times = [0.0, 0.1, 0.2, 20.2, 20.3, 20.4]
    write_clip(path, times=times)
    with FileSource(path) as source:
        assert [frame.position_s for frame in source.frames()] == pytest.approx(times)


def test_slides_that_declare_their_duration_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "slides.mp4"
    times = [0.0, 300.0, 600.0]
    write_clip(path, times=times)
    with FileSource(path) as source:
        assert [frame.position_s for frame in source.frames()] == pytest.approx(times)


@pytest.mark.parametrize("name", ["later.mkv", "later.webm", "later.mp4", "later.ts"])
def test_a_recording_may_start_late(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    codec = "libvpx" if name.endswith("webm") else "libx264"
    write_clip(path, times=[10 + n / 10 for n in range(50)], codec=codec)
    with FileSource(path) as source:
        positions = [frame.position_s for frame in source.frames()]
    assert positions == pytest.approx([n / 10 for n in range(50)], abs=0.001)


def test_a_truncated_recording_that_starts_late_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "later.mkv"
    write_clip(path, times=[10 + n / 10 for n in range(60)], codec="mjpeg", pixel_format="yuvj420p")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with (
        FileSource(path) as source,
        pytest.raises(SourceError, match=r"truncated: it ends after [23]\.\d of 6\.0 s"),
    ):
        list(source.frames())


def test_frames_are_freed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "hd.mp4"
    write_clip(path, count=80, size=(1920, 1080), codec_options={"preset": "ultrafast"})
    gc.collect()
    gc.disable()
    try:
        before = psutil.Process().memory_info().rss
        with FileSource(path) as source:
            assert sum(1 for _ in source.frames()) == 80
            # All frames together take 250 MB.
            assert psutil.Process().memory_info().rss - before < 120 * 2**20
    finally:
        gc.enable()


def test_frames_that_are_too_large_are_refused(tmp_path: Path) -> None:
    path, image = tmp_path / "huge.avi", io.BytesIO()
    Image.new("L", (12_000, 9_000)).save(image, "jpeg")
    _write_mjpeg(path, [image.getvalue()] * 2, (12_000, 9_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(
        SourceError, match=r"12000x9000 pixels, more than the limit of 12\.6 million"
    ):
        FileSource(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024
    assert not is_open(path)


def test_frames_that_become_too_large_end_the_source(tmp_path: Path) -> None:
    path = tmp_path / "grows.avi"
    images = []
    for size in ((96, 64), (1200, 900)):
        image = io.BytesIO()
        Image.fromarray(pixels(*size)).save(image, "jpeg")
        images += [image.getvalue()] * 3
    _write_mjpeg(path, images, (96, 64))
    read = []
    with (
        FileSource(path, max_pixels=1_000_000) as source,
        pytest.raises(
            SourceError, match=r"grows\.avi has a frame that is invalid or larger than the limit"
        ),
    ):
        for frame in source.frames():
            read.append(frame.image.width)
    assert read == [96, 96, 96]


def test_positions_continue_where_timestamps_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "clip.m4v"
    write_clip(path, count=8, rate=10, codec="mpeg4", container="m4v")
    with FileSource(path) as source:
        positions = [frame.position_s for frame in source.frames()]
    assert len(positions) == 8
    assert positions == sorted(set(positions))
    assert positions[0] == 0.0


def test_positions_continue_at_the_seam_of_a_spliced_recording(tmp_path: Path) -> None:
    part, path = tmp_path / "part.ts", tmp_path / "spliced.ts"
    write_clip(part, count=10, rate=10, codec="mpeg2video")
    path.write_bytes(part.read_bytes() * 2)
    with FileSource(path) as source:
        positions = [frame.position_s for frame in source.frames()]
    assert len(positions) == 20
    assert positions == sorted(set(positions))
    assert positions[-1] == pytest.approx(1.9, abs=0.15)


def test_a_video_without_its_index_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    write_clip(path)
    path.write_bytes(path.read_bytes()[:-1500])
    with pytest.raises(SourceError, match=r"cut\.mp4 cannot be read as a video"):
        FileSource(path)


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv"])
def test_a_truncated_video_is_read_to_its_end_and_then_reported(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    options = {"movflags": "faststart"} if name.endswith("mp4") else {}
    write_clip(path, count=60, rate=10, codec="mjpeg", pixel_format="yuvj420p", options=options)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    positions = []
    with (
        FileSource(path) as source,
        pytest.raises(SourceError, match=r"truncated: it ends after [23]\.\d of 6\.0 s"),
    ):
        for frame in source.frames():
            positions.append(frame.position_s)
    assert positions[0] == 0.0
    assert 2.0 < positions[-1] < 4.0


@pytest.mark.parametrize("place", [0.0, 0.5])
def test_a_damaged_part_is_skipped(tmp_path: Path, place: float) -> None:
    path = tmp_path / "scratched.mp4"
    write_clip(path, count=60, rate=10, options={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    media = data.index(b"mdat") + 4
    start = media + round((len(data) - media) * place)
    data[start : start + 900] = bytes(900)
    path.write_bytes(data)
    with FileSource(path) as source:
        positions = [frame.position_s for frame in source.frames()]
    assert 20 < len(positions) < 60
    assert positions == sorted(set(positions))
    assert positions[-1] == pytest.approx(5.9)


@pytest.mark.parametrize("name", ["story.mp4", "story.txt", "story.srt"])
def test_text_is_not_a_video(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("1\n00:00:01,000 --> 00:00:02,000\nA dog runs over a field.\n\n" * 50)
    with pytest.raises(SourceError, match=r"as a video|no video"):
        FileSource(path)


def test_audio_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    with wave.open(str(path), "wb") as song:
        song.setnchannels(1)
        song.setsampwidth(2)
        song.setframerate(8000)
        song.writeframes(bytes(16000))
    with pytest.raises(SourceError, match="contains no video"):
        FileSource(path)


def test_special_characters_in_the_name_are_not_interpreted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clip(tmp_path / "clip.mp4", count=1)
    monkeypatch.chdir(tmp_path)
    path = Path("http:%d clip?#.mp4")
    Path("clip.mp4").rename(path)
    with FileSource(path) as source:
        assert len(list(source.frames())) == 1


def test_a_local_playlist_cannot_access_the_network(tmp_path: Path) -> None:
    write_clip(tmp_path / "part.ts", codec="mpeg2video")
    with WebServer({"/part.ts": (tmp_path / "part.ts").read_bytes()}) as server:
        path = tmp_path / "list.m3u8"
        path.write_text(
            f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{server.url}/part.ts\n#EXT-X-ENDLIST\n"
        )
        with pytest.raises(SourceError):
            FileSource(path)
        assert server.requested == []


def test_closing_ends_the_frames_and_closes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path)
    source = FileSource(path)
    frames = source.frames()
    next(frames)
    assert is_open(path)
    source.close()
    source.close()
    assert list(frames) == []
    assert list(source.frames()) == []
    assert not is_open(path)


def test_closing_from_another_thread_stops_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    write_clip(path, count=4000, rate=100, size=(64, 64), codec="mpeg4")
    source = FileSource(path)
    reading, read = threading.Event(), []

    def read_all() -> None:
        for frame in source.frames():
            read.append(frame.position_s)
            reading.set()

    reader = threading.Thread(target=read_all)
    reader.start()
    assert reading.wait(5)
    source.close()
    reader.join(5)
    assert not reader.is_alive()
    assert len(read) < 4000


def test_a_refused_file_is_not_kept_open(tmp_path: Path) -> None:
    path = tmp_path / "story.txt"
    path.write_text("A dog runs over a field.\n" * 100)
    with pytest.raises(SourceError):
        FileSource(path)
    assert not is_open(path)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """One second of video at ten frames per second."""
    path = tmp_path / "clip.mp4"
    write_clip(path, count=10, rate=10)
    return path


def test_in_real_time_each_frame_arrives_when_it_is_due(clip: Path) -> None:
    began = time.monotonic()
    with RealTimeSource(open_source(str(clip))) as source:
        arrivals = [(frame.position_s, time.monotonic()) for frame in source.frames()]
    first = arrivals[0][1]
    assert len(arrivals) == 10
    for position_s, at in arrivals:
        assert at - first >= position_s - 0.01
    assert 1.0 <= time.monotonic() - began < 3.0


def test_a_delayed_reader_continues_in_real_time(clip: Path) -> None:
    with RealTimeSource(open_source(str(clip))) as source:
        frames = source.frames()
        next(frames)
        time.sleep(1.5)
        began = time.monotonic()
        list(itertools.islice(frames, 5))
    assert time.monotonic() - began >= 0.35


def test_a_frame_that_is_shown_for_long_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "REPEAT_S", 0.3)
    path = tmp_path / "slides.mkv"
    write_clip(path, count=2, rate=1)
    with RealTimeSource(open_source(str(path))) as source:
        positions = [frame.position_s for frame in source.frames()]
    assert positions[:3] == [0.0, 0.0, 0.0]
    assert positions[-3:] == [1.0, 1.0, 1.0]


def test_closing_ends_the_wait_for_a_frame(tmp_path: Path) -> None:
    path = tmp_path / "slides.mkv"
    write_clip(path, count=2, rate=1)
    source = RealTimeSource(open_source(str(path)))
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


class Broadcast(Source):
    """A broadcast that stalls once."""

    live, endless, name = False, True, "broadcast"

    def __init__(self, frame: av.VideoFrame) -> None:
        self._frame = frame

    def frames(self) -> Iterator[SourceFrame]:
        """Yield ten frames per second of media time, of which the sixth is late."""
        for number in range(26):
            if number == 5:
                time.sleep(1.7)
            yield SourceFrame(self._frame, number / 10)

    def close(self) -> None:
        """Do nothing."""


def test_a_broadcast_makes_up_the_delay_after_a_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "_CATCH_UP", 0.5)
    times = []
    with RealTimeSource(Broadcast(av.VideoFrame(64, 48, "yuv420p"))) as source:
        for frame in source.frames():
            times.append((frame.position_s, time.monotonic()))
            if frame.position_s >= 2.5:
                break
    resumed = next(at for position_s, at in times if position_s >= 0.5)
    # Two seconds of media time, half as fast again until a second and more is made up.
    assert 0.9 < times[-1][1] - resumed < 1.7
