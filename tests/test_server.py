"""The command line of server.py, run in a process of its own."""

import asyncio
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from queue import Queue
from urllib.request import urlopen

import cv2
import numpy as np
import psutil
import pytest
import skimage
from aiohttp import ClientSession
from aiortc import RTCSessionDescription
from PIL import Image

import server
from models.catalogue import SHIPPED_FOLDER
from stream.ice.addresses import MediaAddresses
from tests.support import simulated_camera
from tests.support.html_tree import read
from tests.support.peer import Peer
from tests.support.servers.fake_endpoint import fake_endpoint
from tests.support.servers.source_servers import MjpegCamera, WebServer

ROOT = Path(__file__).parent.parent


def run(*arguments: str, seconds: float = 150) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "server.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def refusal(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run server.py in this process, from its folder; return the error that it ends with.

    A process of its own would spend a second on imports.
    """
    status: object
    with chdir(ROOT):
        try:
            status = server.main(arguments)
        except SystemExit as ended:  # argparse raises it.
            status = ended.code
    printed = capfd.readouterr()
    assert (status, printed.out) == (2, "")
    return printed.err


@contextmanager
def serving(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    process = subprocess.Popen(
        [sys.executable, "server.py", "--port", "0", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        found = re.search(r"http://\S+:\d+", process.stdout.readline())
        assert found
        yield process, found[0]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_serves_the_page_and_stops_on_ctrl_c_without_child_processes() -> None:
    with serving() as (process, url):
        with urlopen(url) as page:
            assert b"Sightline" in page.read()
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        status = process.wait(10)
        took = time.monotonic() - start

    assert status == 0
    assert took < 3
    assert not [child for child in children if child.is_running()]


async def test_stops_on_ctrl_c_with_open_sessions(footage: Path, loopback: MediaAddresses) -> None:
    with serving() as (process, url):
        async with Peer(footage) as camera, Peer(None) as demo, ClientSession(url) as client:
            for peer, source in ((camera, "peer"), (demo, "demo")):
                body = {"sdp": (await peer.offer()).sdp, "type": "offer", "source": source}
                async with client.post("/offer", json=body) as response:
                    answer = await response.json()
                await peer.accept(RTCSessionDescription(answer["sdp"], answer["type"]))
            await camera.until(lambda: camera.frames and demo.frames)
            process.send_signal(signal.SIGINT)

            assert await asyncio.to_thread(process.wait, 3) == 0


def test_sigterm_before_the_server_listens_ends_it() -> None:
    """As process 1 it would miss a signal without a handler, so the container blocks SIGTERM."""
    (line,) = re.findall(r"^ENTRYPOINT (.*)$", (ROOT / "Dockerfile").read_text(), re.M)
    program = [sys.executable if part == "python" else part for part in json.loads(line)]
    process = subprocess.Popen([*program, "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout
    command_line = Path("/proc", str(process.pid), "cmdline")
    while not command_line.read_bytes().startswith(sys.executable.encode()):
        time.sleep(0.001)
    process.send_signal(signal.SIGTERM)

    assert process.stdout.read() == b""
    assert process.wait(30) == 128 + signal.SIGTERM
    process.stdout.close()


def test_sigterm_while_an_import_ignores_exceptions_ends_the_server() -> None:
    start = """
import os, runpy, signal, sys

class Finder:
    def find_spec(self, name, *_):
        if name == "web.settings":
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            except BaseException:
                pass

sys.meta_path.insert(0, Finder())
sys.argv = ["server.py", "--check"]
runpy.run_path("server.py", run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-c", start], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "")


def test_the_server_itself_never_loads_tensorflow() -> None:
    """It runs in a process of its own, since libsrtp crashes next to it."""
    heavy = "{'keras', 'sklearn', 'tensorflow'}"
    check = f"import server, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = run("--port", str(port))

    assert refused.returncode == 2
    assert f"127.0.0.1:{port} is in use" in refused.stderr
    assert "--port" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_wrong_setting_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert "'port'" in refusal(capfd, "--port", "99999")


def test_an_unforeseen_mistake_is_one_line_without_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(server, "read_settings", fail)
    assert server.main(["--check"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"sightline: unexpected ZeroDivisionError in test_server.py, line \d+", line
    )


def test_a_folder_without_a_captioner_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "contains no captioner" in refusal(capfd, "--captioner", str(tmp_path))


def test_int8_is_refused_without_an_int8_encoder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, config = tmp_path / "captioner", tmp_path / "sightline.toml"
    without = shutil.ignore_patterns("encoder-int8.*")
    shutil.copytree(SHIPPED_FOLDER, folder, ignore=without)
    config.write_text("precision = 'int8'\n")

    arguments = ("--config", str(config), "--captioner", str(folder), "caption", "demo")
    assert re.search(r"no int8 encoder.* inference\.quantize", refusal(capfd, *arguments))


def test_a_broken_captioner_does_not_overwrite_the_subtitles(tmp_path: Path) -> None:
    broken, subtitles = tmp_path / "captioner", tmp_path / "kept.vtt"
    shutil.copytree(SHIPPED_FOLDER, broken)
    (broken / "vocabulary.txt").write_text("<pad>\n<start>\n<end>\n<unk>\n")
    subtitles.write_text("earlier subtitles")
    refused = run("--captioner", str(broken), "caption", "demo", "--vtt", str(subtitles))

    assert refused.returncode == 2
    assert "vocabulary.txt has 4 words" in refused.stderr
    assert subtitles.read_text() == "earlier subtitles"


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photographs") / "noise.png"
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    cv2.imwrite(str(path), pixels)
    return path


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory, photograph: Path) -> Iterator[tuple[str, ...]]:
    """Options of `server.py` for captions of an endpoint, and a feed.

    The captions come at once and are numbered; the shipped captioner takes ten seconds to load.
    """
    folder = tmp_path_factory.mktemp("settings")
    secret, settings = folder / "source", folder / "settings.toml"
    listening: Queue[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Queue()
    numbers = itertools.count(1)

    async def serve() -> None:
        async with fake_endpoint() as fake:
            fake.caption = lambda _: f"Zoë counts {next(numbers)} dogs."
            ended = asyncio.Event()
            listening.put((fake.url, asyncio.get_running_loop(), ended))
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    url, loop, ended = listening.get(timeout=60)
    secret.write_text(f"{photograph}\n", encoding="utf-8")
    settings.write_text(
        f'[endpoints.gpu]\nbase_url = "{url}"\nmodel = "llava"\n'
        f'[feeds.hall]\nsource_file = "{secret}"\n',
        encoding="utf-8",
    )
    yield "--config", str(settings), "--captioner", "endpoint:gpu"
    loop.call_soon_threadsafe(ended.set)
    thread.join()


def test_captions_a_video_as_lines_and_as_subtitles(footage: Path, tmp_path: Path) -> None:
    subtitles = tmp_path / "bikes.vtt"
    done = run("caption", str(footage), "--every", "3", "--vtt", str(subtitles))

    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["0:00.0", "0:03.0", "0:06.0", "0:09.0"]
    cues = subtitles.read_text().split("\n\n")
    assert cues[0] == "WEBVTT"
    assert cues[2].startswith("00:00:03.000 --> 00:00:06.000\n")
    assert cues[2].splitlines()[1].strip() in lines[1]


def test_captions_a_feed_of_the_settings_as_json(quick: tuple[str, ...]) -> None:
    done = run(*quick, "caption", "feed:hall", "--jsonl")
    (line,) = done.stdout.splitlines()
    caption = json.loads(line)

    assert done.returncode == 0
    assert caption["position_s"] == 0
    assert caption["frame"]["width"] == 120
    assert "dogs" in caption["text"]
    assert caption["maps"] is None


def test_maps_are_printed_as_json_if_the_captioner_computes_them(
    quick: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    assert "--maps needs --jsonl" in refusal(capfd, "caption", "demo", "--maps")
    options = (*quick, "caption", "feed:hall", "--jsonl", "--maps")
    assert "computes no maps with its captions; leave out --maps" in refusal(capfd, *options)


def test_captions_until_the_limit_on_a_terminal_without_unicode(
    quick: tuple[str, ...], tmp_path: Path
) -> None:
    """And with a closed standard error, as some supervisors leave it."""
    path = tmp_path / "noise.gif"
    random = np.random.default_rng(0)
    first, *others = (
        Image.fromarray(random.integers(0, 256, (48, 64), np.uint8)) for _ in range(4)
    )
    first.save(path, save_all=True, append_images=others, duration=300)
    options = (*quick, "caption", str(path), "--every", "0.3", "--limit", "2")
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "server.py", *options],
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=150,
        check=False,
    )

    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(r"Zo\xeb counts" in line for line in lines)


def test_a_camera_that_is_lost_ends_it_with_an_error(quick: tuple[str, ...]) -> None:
    lost = threading.Event()
    _, encoded = cv2.imencode(".jpg", simulated_camera.photograph("chelsea.png")[..., ::-1])
    picture = encoded.tobytes()

    def until_lost(camera: MjpegCamera) -> None:
        while not lost.wait(0.1):
            camera.send_image(picture)

    with WebServer({"/camera": until_lost}) as server:
        options = (*quick, "caption", f"{server.url}/camera", "--every", "0.3")
        process = subprocess.Popen(
            [sys.executable, "server.py", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        first = process.stdout.readline()
        lost.set()
    _, errors = process.communicate(timeout=60)
    assert "dogs" in first
    assert process.returncode == 2
    assert f"sightline: {server.url} stopped sending (end of the stream); check" in errors


def test_a_closed_pipe_ends_it_without_an_error(quick: tuple[str, ...], footage: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "server.py", *quick, "caption", str(footage), "--every", "0.1"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stderr
    process.stdout.readline()
    process.stdout.close()
    process.wait(30)

    assert process.returncode == 0
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()


def test_a_list_into_a_closed_pipe_ends_without_an_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "server.py", "captioner", "list"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (0, "")


def test_on_ctrl_c_the_subtitles_are_complete(quick: tuple[str, ...], tmp_path: Path) -> None:
    subtitles = tmp_path / "demo.vtt"
    options = (*quick, "caption", "demo", "--every", "0.3", "--vtt", str(subtitles))
    process = subprocess.Popen(
        [sys.executable, "server.py", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    process.stdout.readline()
    process.stdout.readline()
    os.kill(process.pid, signal.SIGINT)

    assert process.wait(60) == 130
    process.stdout.close()
    cues = subtitles.read_text().split("\n\n")[1:]
    assert cues, "the last caption must have a cue too"
    assert all(" --> " in cue and cue.splitlines()[1] for cue in cues)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["caption", "nothing.mp4"], "the source is neither an existing file nor a URL"),
        (["caption", "README.md"], "README.md"),
        (["caption", "http://127.0.0.1:9/x.mp4"], "127.0.0.1:9"),
        (["caption", "/dev/video99"], "the camera does not exist"),
        (["caption", "feed:hall"], "no feed 'hall'"),
        (["caption", "demo", "--every", "0"], "greater than zero"),
        (["caption", "demo", "--limit", "-1"], "greater than zero"),
        (["caption", "demo", "--vtt", "/nowhere/x.vtt"], "cannot write /nowhere/x.vtt"),
    ],
)
def test_a_source_that_cannot_be_captioned_is_named(
    capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert message in refusal(capfd, *arguments)


def test_explains_an_image_as_a_page_images_and_json(tmp_path: Path) -> None:
    out = tmp_path / "below" / "explained"
    image = Path(skimage.__file__).parent / "data" / "chelsea.png"
    names = "gradcam,attention,ace"

    done = run("explain", str(image), "--out", str(out), "--only", names, seconds=170)

    assert done.returncode == 0, done.stderr
    files = ["report.html", "sheet.png", "gradcam.png", "attention.png", "report.json"]
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        str(out / file) for file in files
    ]
    assert sorted(path.name for path in out.iterdir()) == sorted(files)
    assert "Computing 4 of 4: concept analysis" in done.stderr
    report = json.loads((out / "report.json").read_text())
    caption = report["caption"]["guess"] or report["caption"]["text"]
    words = [word["text"] for word in report["words"]]
    assert words == caption.lower().split()
    assert report["image"] == {"file": "chelsea.png", "width": 451, "height": 300}
    assert [method["name"] for method in report["methods"]] == ["gradcam", "attention"]
    assert report["ace"]["scope"] == "bank"
    for file in files[1:-1]:
        assert np.asarray(cv2.imread(str(out / file))).shape[1] == 1280
    page = read((out / "report.html").read_text(encoding="utf-8"))
    assert page.all("h1")[0].text == caption
    assert [part.text for part in page.all("h2")] == [
        "Which concepts does it use?",
        "What it was based on",
    ]


def test_explains_the_images_of_a_folder_and_reports_broken_ones(tmp_path: Path) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    shutil.copy(Path(skimage.__file__).parent / "data" / "chelsea.png", images)
    (images / "broken.jpg").write_bytes(b"\xff\xd8\xff")

    done = run("explain", str(images), "--out", str(out))

    assert done.returncode == 1, done.stderr
    assert done.stdout == (f"{out / 'explanations.jsonl'}  captions, words and maps of 1 images\n")
    assert done.stderr.endswith(
        "sightline: 1 images could not be explained:\n"
        "  broken.jpg is damaged or truncated; save or copy it again\n"
    )
    (line,) = (out / "explanations.jsonl").read_text().splitlines()
    assert json.loads(line)["file"] == "chelsea.png"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.png"], "nothing.png does not exist"),
        ([".ci"], ".ci contains no images"),
        (["stream", "--only", "ace"], "ace is for single images"),
        (["stream", "--only", "lime"], "no method or analysis 'lime'; choose from: "),
        (["README.md"], "README.md is not an image"),
        (["{image}", "--only", "gradcam,lime"], "no method or analysis 'lime'; choose from: "),
        (["{image}", "--out", "{image}"], "cannot write to "),
        (["{image}", "--out", "{image}/below"], "cannot write to "),
    ],
)
def test_a_failed_explanation_is_reported_and_leaves_no_files(
    photograph: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    before = photograph.read_bytes()
    formatted = [argument.format(image=photograph) for argument in arguments]

    assert message in refusal(capfd, "explain", "--out", str(tmp_path / "out"), *formatted)

    assert not list(tmp_path.iterdir())
    assert photograph.read_bytes() == before


def test_an_image_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path, out = tmp_path / "huge.png", tmp_path / "out"
    Image.new("1", (20_000, 20_000)).save(path)

    refused = run("explain", str(path), "--out", str(out))

    assert refused.returncode == 2
    assert refused.stderr == (
        "sightline: huge.png has 20000x20000 pixels, more than the limit of 50 million; "
        "scale it down\n"
    )
    assert not out.exists()
