"""Motion JPEG over HTTP as cameras send it, in and beside RFC 2046."""

import threading
import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from stream.sources.source import SourceError, SourceFrame
from stream.sources.url import UrlSource
from tests.support.servers.source_servers import Response, WebServer

MULTIPART = "multipart/x-mixed-replace; boundary="


def jpeg(brightness: int) -> bytes:
    """Return a JPEG image of a mean brightness."""
    noise = np.random.default_rng(brightness).integers(-20, 21, (96, 128))
    return cv2.imencode(".jpg", (brightness + noise).astype(np.uint8))[1].tobytes()


def brightness(frame: SourceFrame) -> int:
    return round(float(np.mean(frame.image.to_ndarray(format="gray"))))


Part = Callable[[bytes, int], bytes]
"""Returns the bytes of an image's part, given the image and its number."""

PARTS: dict[str, tuple[str, Part]] = {
    "as the standard says": (
        MULTIPART + "b",
        lambda image, _: (
            b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n"
            % (len(image), image)
        ),
    ),
    "no boundary before the first part": (
        MULTIPART + "b",
        lambda image, _: b"Content-Type: image/jpeg\r\n\r\n%b\r\n--b\r\n" % image,
    ),
    "no header before the first part": (
        MULTIPART + "b",
        lambda image, number: (
            image if number == 0 else b"\r\n--b\r\nContent-Type: image/jpeg\r\n\r\n" + image
        ),
    ),
    "image/jpg": (
        MULTIPART + "b",
        lambda image, _: b"--b\r\nContent-Type: image/jpg\r\n\r\n%b\r\n" % image,
    ),
    "parameters": (
        MULTIPART + '"b"; charset=utf-8',
        lambda image, _: (
            b"--b\r\nContent-type:image/jpeg; charset=x\r\nX-Time: 1\r\n\r\n%b\r\n" % image
        ),
    ),
    "no part type": (
        MULTIPART + "b",
        lambda image, _: b"--b\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(image), image),
    ),
    "no part headers": (MULTIPART + "b", lambda image, _: b"--b\r\n\r\n%b\r\n" % image),
    "line feeds": (
        MULTIPART + "b",
        lambda image, _: b"--b\nContent-Type: image/jpeg\n\n%b\n" % image,
    ),
    "blank lines first": (
        MULTIPART + "b",
        lambda image, _: b"\r\n\r\n--b\r\nContent-Type: image/jpeg\r\n\r\n%b" % image,
    ),
    "a boundary without dashes": (
        MULTIPART + "b",
        lambda image, _: b"b\r\nContent-Type: image/jpeg\r\n\r\n%b\r\n" % image,
    ),
    "a boundary with a space and without dashes": (
        MULTIPART + '"a b"',
        lambda image, _: b"a b\r\nContent-Type: image/jpeg\r\n\r\n%b\r\n" % image,
    ),
    "the headers of the response once more": (
        MULTIPART + "b",
        lambda image, number: (
            (b"" if number else b"HTTP/1.0 200 OK\r\nServer: camera\r\n\r\n")
            + b"--b\r\nContent-Type: image/jpeg\r\n\r\n%b\r\n" % image
        ),
    ),
    "a boundary that includes the dashes": (
        MULTIPART + "--b",
        lambda image, _: b"--b\r\nContent-Type: image/jpeg\r\n\r\n%b\r\n" % image,
    ),
    "a boundary with more dashes": (
        MULTIPART + "--b",
        lambda image, _: b"----b\r\nContent-Type: image/jpeg\r\n\r\n%b\r\n" % image,
    ),
    "a wrong length": (
        MULTIPART + "b",
        lambda image, _: b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\n" + image,
    ),
    "a thumbnail in each image": (
        MULTIPART + "b",
        # An APP1 segment (ITU-T T.81, B.2.4.6) that contains an image, as in Exif.
        lambda image, _: b"--b\r\n\r\n" + image[:2] + app1(jpeg(5)[:9000]) + image[2:],
    ),
    "no response type": ("", lambda image, _: b"--b\r\nContent-Type: image/jpeg\r\n\r\n" + image),
}


def app1(content: bytes) -> bytes:
    return b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content


class PushedImages:
    """A camera that sends each image when `send` is called, and then waits."""

    def __init__(self, content_type: str, part: Part, *, chunked: bool = False) -> None:
        self._part = part
        self._requested = threading.Semaphore(0)
        self.due = 0
        """Number of images that `send` was called for."""
        headers = {"Content-Type": content_type} if content_type else {}
        self.response = Response(self._respond, headers, chunked=chunked)

    def send(self) -> None:
        """Send the next image."""
        self.due += 1
        self._requested.release()

    def _respond(self, write: Callable[[bytes], object], stopping: threading.Event) -> None:
        number = 0
        while not stopping.is_set():
            if self._requested.acquire(timeout=0.05):
                write(self._part(jpeg(60 + 40 * number), number))
                number += 1


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("kind", PARTS)
def test_each_image_is_shown_at_once_however_it_is_delimited(kind: str, chunked: bool) -> None:
    camera = PushedImages(*PARTS[kind], chunked=chunked)
    camera.send()
    if kind == "no header before the first part":
        # Only a second image proves that the first is not all.
        camera.send()
    with (
        WebServer({"/camera": camera.response}) as server,
        UrlSource(f"{server.url}/camera") as source,
    ):
        assert source.live
        frames = source.frames()
        for _ in range(3):
            expected = 20 + 40 * camera.due
            # Of two images that arrived together, the first may be shown before the second.
            while (shown := brightness(next(frames))) < expected - 20:
                pass
            assert shown == pytest.approx(expected, abs=2)
            camera.send()
    assert server.requested == ["/camera"]


def test_two_images_that_arrive_together_are_shown_without_waiting_for_a_third() -> None:
    def respond(write: Callable[[bytes], object], stopping: threading.Event) -> None:
        write(jpeg(60) + jpeg(100))
        stopping.wait()

    with (
        WebServer({"/camera": Response(respond)}) as server,
        UrlSource(f"{server.url}/camera") as source,
    ):
        assert source.live
        frames = source.frames()
        # The first may be shown before the second.
        while brightness(next(frames)) < 80:
            pass


def test_an_image_without_an_end_marker_is_complete_where_the_next_one_starts() -> None:
    def respond(write: Callable[[bytes], object], stopping: threading.Event) -> None:
        for number in range(3):
            write(b"--b\r\nContent-Type: image/jpeg\r\n\r\n%b\r\n" % jpeg(60 + 40 * number)[:-2])
        stopping.wait()

    with (
        WebServer({"/camera": Response(respond)}) as server,
        UrlSource(f"{server.url}/camera") as source,
    ):
        frames = source.frames()
        shown = brightness(next(frames))
        if shown < 80:
            shown = brightness(next(frames))
    assert shown == pytest.approx(100, abs=2)


def test_a_camera_resumes_after_a_damaged_image() -> None:
    def respond(write: Callable[[bytes], object], stopping: threading.Event) -> None:
        whole = jpeg(60)
        for image in (whole, whole[: len(whole) // 2], b"\xff\xd8\xff" + bytes(99), jpeg(140)):
            write(b"--b\r\nContent-Type: image/jpeg\r\n\r\n%b\r\n" % image)
        stopping.wait()

    with (
        WebServer({"/camera": Response(respond)}) as server,
        UrlSource(f"{server.url}/camera") as source,
    ):
        shown = 0
        for frame in source.frames():
            shown = brightness(frame)
            if shown > 120:
                break
    assert shown == pytest.approx(140, abs=2)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_single_image_without_length_is_a_snapshot(chunked: bool) -> None:
    response = Response(lambda write, _: (write(jpeg(120)), None)[1], chunked=chunked)
    with (
        WebServer({"/snapshot": response}) as server,
        UrlSource(f"{server.url}/snapshot") as source,
    ):
        assert not source.live
        (frame,) = source.frames()
    assert brightness(frame) == pytest.approx(120, abs=2)
    assert server.requested == ["/snapshot"]


def test_a_response_that_never_contains_an_image_is_no_camera() -> None:
    def respond(write: Callable[[bytes], object], stopping: threading.Event) -> None:
        while not stopping.wait(0.05):
            write(b"--b\r\nContent-Type: image/jpeg\r\n\r\nbusy\r\n")

    with (
        WebServer({"/camera": Response(respond)}) as server,
        pytest.raises(SourceError, match=r"sent no video within \d"),
    ):
        UrlSource(f"{server.url}/camera", open_timeout_s=0.5)


def test_the_interval_of_a_camera_may_exceed_the_time_to_connect() -> None:
    def respond(write: Callable[[bytes], object], stopping: threading.Event) -> None:
        number = 0
        while not stopping.wait(6):
            write(b"--b\r\nContent-Type: image/jpeg\r\n\r\n%b\r\n" % jpeg(60 + 40 * number))
            number += 1

    started = time.monotonic()
    with (
        WebServer({"/camera": Response(respond)}) as server,
        UrlSource(f"{server.url}/camera", read_timeout_s=15) as source,
    ):
        assert brightness(next(source.frames())) == pytest.approx(60, abs=2)
    assert time.monotonic() - started < 11
