"""A real server and a real Chromium, whose camera plays real footage."""

import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import av
import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

ROOT = Path(__file__).parent.parent.parent
CHROMIUM = "/usr/bin/chromium"
FOOTAGE_FPS, CAMERA_FPS = 25, 5
"""In frames per second. Chromium encodes every frame of the camera, and draws the returned one."""
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# A machine that is busy with other tests is late with anything; only a wrong page never comes.
expect.set_options(timeout=20_000)


class Server:
    """A server in a process of its own."""

    def __init__(
        self, *arguments: str, program: Sequence[str], media_processes: int | None
    ) -> None:
        environment = {"SIGHTLINE_STREAM__ANALYSIS_S": "480", **os.environ}
        if media_processes is not None:
            environment["SIGHTLINE_STREAM__MEDIA_PROCESSES"] = str(media_processes)
        self.process = subprocess.Popen(
            [sys.executable, "-u", *program, *arguments],
            cwd=ROOT,
            # A machine that is busy with tests needs longer than a visitor would wait.
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        found = re.search(r"http://\S+?:(\d+)", self.process.stdout.readline())
        assert found, "the server did not start"
        self.url, self.port = found[0], found[1]

    def ready(self) -> bool:
        """Whether captions can be had."""
        try:
            with urlopen(f"{self.url}/readyz") as response:
                return bool(response.status == 200)
        except URLError:
            return False

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        self.process.terminate()
        self.process.wait(10)
        assert self.process.stdout
        self.process.stdout.close()


@contextmanager
def running(
    *arguments: str, program: Sequence[str] = ("server.py",), media_processes: int | None = 0
) -> Iterator[Server]:
    """A server that is stopped in the end; `SCRIPTED` where the captioner is not the point.

    With as many media processes as by default if `media_processes` is None.
    """
    server = Server(*arguments, program=program, media_processes=media_processes)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for all tests that leave it as it is, or wait until it is so again."""
    with running("--port", "0", media_processes=2) as server:
        # The first time that TensorFlow is imported after installing it is compiled: a minute.
        while not server.ready():
            assert server.process.poll() is None, "the server ended"
            time.sleep(0.2)
        yield server


@pytest.fixture(scope="session")
def camera_file(footage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The footage as Chromium's fake camera plays it: 640x480, uncompressed."""
    path = tmp_path_factory.mktemp("camera") / "bikes.y4m"
    with av.open(str(footage)) as source, av.open(str(path), "w", format="yuv4mpegpipe") as target:
        stream = target.add_stream("rawvideo", rate=CAMERA_FPS)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        every = FOOTAGE_FPS // CAMERA_FPS
        for index, frame in enumerate(islice(source.decode(video=0), 0, 100, every)):
            picture = frame.reformat(640, 480, "yuv420p")
            picture.pts, picture.time_base = index, Fraction(1, CAMERA_FPS)
            for packet in stream.encode(picture):
                target.mux(packet)
    return path


@pytest_asyncio.fixture(scope="session")
async def browser(camera_file: Path) -> AsyncIterator[Browser]:
    """A browser with a camera, which asks no questions."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                *QUIET,
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-video-capture={camera_file}",
            ],
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A new visitor's page, on which nothing may go wrong unseen."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda problem: problems.append(str(problem)))
    page.on("console", _collect(problems))
    yield page
    await context.close()
    assert not problems


def _collect(problems: list[str]) -> Callable[[ConsoleMessage], None]:
    def collect(message: ConsoleMessage) -> None:
        # Chromium reports each failed request by itself, those that a test provokes too.
        if message.type == "error" and "Failed to load resource" not in message.text:
            problems.append(message.text)

    return collect
