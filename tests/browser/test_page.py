"""The page in Chromium, against the real server."""

import asyncio
import base64
import io
import json
import os
import re
import signal
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest
from jsonschema import Draft202012Validator
from PIL import Image
from playwright.async_api import Browser, Page, async_playwright, expect

from inference.engine.engine import Engine
from inference.engine.process import EngineTiming
from models.catalogue import SHIPPED_FOLDER
from stream.data_channel.messages import SCHEMA_PATH
from tests.browser.conftest import CHROMIUM, QUIET, Server, running
from tests.support.clips import pixels
from tests.support.heic import write_heic
from tests.support.page.scripted_page import serve_page
from tests.support.scripted_worker import install_worker
from tests.support.servers.server_process import SCRIPTED

SCHEMA = json.loads(SCHEMA_PATH.read_text())
CLIENT_MESSAGE = Draft202012Validator({"$ref": "#/$defs/client", "$defs": SCHEMA["$defs"]})
SOON = 90_000
LONG = 480_000

RECORD_SENT = """() => {
  window.sent = [];
  const send = RTCDataChannel.prototype.send;
  RTCDataChannel.prototype.send = function (text) {
    window.sent.push(text);
    send.call(this, text);
  };
}"""

# What an analysis says of its progress, and the bar beside it, each time that they change.
RECORD_PROGRESS = """(work) => {
  window.progress = [];
  const [remark, bar] = [work.querySelector('p'), work.querySelector('progress')];
  const record = () => window.progress.push([remark.textContent, bar.getAttribute('value')]);
  new MutationObserver(record).observe(
    work, { attributes: true, characterData: true, childList: true, subtree: true });
}"""

# Of the video's lowest sixth: how much is bright type, how much is dark band.
BAND = """() => {
  const video = document.querySelector('#returned-video');
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0);
  const top = Math.round(canvas.height * 0.93);
  const { data } = context.getImageData(0, top, canvas.width, canvas.height - top - 4);
  let bright = 0, dark = 0;
  for (let i = 0; i < data.length; i += 4) {
    const luma = 0.3 * data[i] + 0.59 * data[i + 1] + 0.11 * data[i + 2];
    if (luma > 200) bright++; else if (luma < 120) dark++;
  }
  return { bright: bright / (data.length / 4), dark: dark / (data.length / 4) };
}"""

# What a file looks like as an input: the colour of its centre and of its corner, over some seconds.
PLAY_FILE = """async ([base64, name, type, shots]) => {
  const { FileInput } = await import('/static/js/session/file_input.js');
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const input = new FileInput(new File([bytes], name, { type }));
  const { track } = await input.open(new AbortController().signal);
  const video = document.createElement('video');
  video.muted = true;
  video.srcObject = new MediaStream([track]);
  await video.play();
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d');
  const colours = [];
  for (let shot = 0; shot < shots; shot++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const { videoWidth: width, videoHeight: height } = video;
    canvas.width = width;
    canvas.height = height;
    context.drawImage(video, 0, 0);
    const at = (x, y) => Array.from(context.getImageData(x, y, 1, 1).data.slice(0, 3));
    colours.push([at(width >> 1, height >> 1), at(2, 2)]);
  }
  input.close();
  return colours;
}"""

# The words of a line, but for what is there for screen readers only.
SEEN_WORDS = """(line) => {
  const copy = line.cloneNode(true);
  for (const unseen of copy.querySelectorAll('.visually-hidden')) unseen.remove();
  return copy.textContent.trim().split(/\\s+/);
}"""


async def state(page: Page, wanted: str, timeout: float = SOON) -> None:
    """Wait for the state of the session."""
    await expect(page.locator("html")).to_have_attribute("data-state", wanted, timeout=timeout)


async def captioned(page: Page) -> str:
    """Wait for a caption and return its sentence."""
    sentence = page.locator("#sentence")
    await expect(sentence).to_have_text(re.compile(r"\w+ \w+"), timeout=SOON)
    return await sentence.inner_text()


async def test_a_camera_is_captioned_live(server: Server, page: Page) -> None:
    await page.add_init_script(f"({RECORD_SENT})()")
    await page.goto(server.url)
    await state(page, "idle")
    await page.click("#start-camera")
    await state(page, "live")
    await captioned(page)

    words = page.locator("#caption .word")
    # A caption in doubt may be no more than one object.
    assert await words.count() >= 1
    labels = await words.evaluate_all("each => each.map((word) => word.ariaLabel ?? '')")
    with_confidence = [re.fullmatch(r".+, (over |under )?\d+% sure", label) for label in labels]
    assert any(with_confidence) or await page.locator("#screen[data-unsure]").count()
    await expect(page.locator("#age")).to_have_text(re.compile(r"\d.* ago"))
    await expect(page.locator("#earlier > li").first).to_be_visible()
    video = "document.querySelector('#returned-video')"
    before = await page.evaluate(f"() => {video}.currentTime")
    await page.wait_for_function(f"() => {video}.currentTime > {before} + 1")
    # Browsers send fewer pixels while they are short of time, but never another shape.
    assert await page.evaluate(f"() => {video}.videoWidth / {video}.videoHeight") == 4 / 3
    for text in await page.evaluate("() => window.sent"):
        CLIENT_MESSAGE.validate(json.loads(text))


async def test_the_returned_video_carries_the_caption(server: Server, page: Page) -> None:
    await page.goto(server.url)
    await page.click("#start-camera")
    await captioned(page)
    # The text on the page may come before the frames that carry it.
    await page.wait_for_function(f"() => ({BAND})().bright > 0.01")
    band = await page.evaluate(BAND)

    assert 0.01 < band["bright"] < 0.4
    assert band["dark"] > 0.4


async def test_the_demo_needs_no_camera_and_the_interval_changes_live(
    server: Server, page: Page
) -> None:
    await page.goto(server.url)
    await page.click("#start-demo")
    await captioned(page)
    await page.locator("#interval").fill("0.25")
    await expect(page.locator("#confirmation")).to_have_text("Saved", timeout=SOON)
    await page.click("#stop")
    await state(page, "idle")


async def test_a_file_of_ones_own_is_captioned_again_and_again(
    server: Server, page: Page, footage: Path
) -> None:
    await page.goto(server.url)
    await page.set_input_files("#file", str(footage))
    await captioned(page)
    await state(page, "live")


async def test_another_source_is_chosen_without_reloading(server: Server, page: Page) -> None:
    await page.goto(server.url)
    await page.click("#start-demo")
    await captioned(page)
    await page.click("#start-camera")
    await expect(page.locator("html")).to_have_attribute("data-source", "camera", timeout=SOON)
    await state(page, "live")
    await captioned(page)


async def test_a_killed_captioner_pauses_captions_and_not_the_video(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_worker(tmp_path, monkeypatch)
    # As long as a captioner takes to load, which this one does not.
    engine = Engine(SHIPPED_FOLDER, EngineTiming(first_pause_s=3))
    engine.start()
    try:
        async with serve_page(engine) as url:
            await page.goto(url)
            await page.click("#start-camera")
            await captioned(page)
            assert engine.pid
            os.kill(engine.pid, signal.SIGKILL)
            await state(page, "paused")
            video = "document.querySelector('#returned-video')"
            before = await page.evaluate(f"() => {video}.currentTime")
            await page.wait_for_function(f"() => {video}.currentTime > {before} + 1")
            seq = int(str(await page.locator("#caption").get_attribute("data-seq")))
            await state(page, "live")
            await page.wait_for_function(
                f"() => Number(document.querySelector('#caption').dataset.seq) > {seq}",
                timeout=SOON,
            )
    finally:
        await engine.stop()


async def test_a_page_whose_media_process_is_killed_reconnects(page: Page) -> None:
    with running("--port", "0", program=SCRIPTED, media_processes=2) as server:
        await page.goto(server.url)
        await page.click("#start-camera")
        await captioned(page)
        busiest = max(
            children(server, "stream.media.worker"),
            key=lambda process: sum(process.cpu_times()[:2]),
        )
        busiest.kill()
        await state(page, "reconnecting", 60_000)
        await state(page, "live")
        await captioned(page)


def children(server: Server, module: str) -> list[psutil.Process]:
    """Return the server's processes that run a module."""
    processes = psutil.Process(server.process.pid).children()
    return [process for process in processes if module in process.cmdline()]


async def test_a_restarted_server_is_found_again_by_itself(page: Page) -> None:
    with running("--port", "0", program=SCRIPTED) as server:
        await page.goto(server.url)
        await page.click("#start-camera")
        await state(page, "live")
    await state(page, "reconnecting")
    with running("--port", server.port, program=SCRIPTED):
        await state(page, "live")
        await captioned(page)


async def test_a_full_server_is_told_and_tried_again(browser: Browser, page: Page) -> None:
    os.environ["SIGHTLINE_STREAM__SESSIONS"] = "1"
    try:
        with running("--port", "0", program=SCRIPTED) as server:
            first = await browser.new_page()
            await first.goto(server.url)
            await first.click("#start-demo")
            await state(first, "live")
            await page.goto(server.url)
            await page.click("#start-demo")
            await expect(page.locator("html")).to_have_attribute(
                "data-problem", "server-full", timeout=SOON
            )
            await first.close()
            await state(page, "live", 40_000)
    finally:
        del os.environ["SIGHTLINE_STREAM__SESSIONS"]


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        ("NotAllowedError", "camera-refused"),
        ("NotFoundError", "camera-missing"),
        ("NotReadableError", "camera-busy"),
        ("OverconstrainedError", "camera-unsuitable"),
    ],
)
async def test_a_camera_that_cannot_be_had_is_explained(
    server: Server, page: Page, error: str, problem: str
) -> None:
    await page.add_init_script(
        "navigator.mediaDevices.getUserMedia = async () => {"
        f" throw new DOMException('', '{error}'); }}"
    )
    await page.goto(server.url)
    await page.click("#start-camera")
    await state(page, "problem")

    await expect(page.locator("html")).to_have_attribute("data-problem", problem)
    await expect(page.locator("#overlay-title")).to_be_visible()
    await page.click("#overlay [data-action=demo]")
    await captioned(page)


async def test_a_refused_permission_is_explained(server: Server, camera_file: Path) -> None:
    """By the browser itself, not by a stand-in for it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[*QUIET, "--use-fake-device-for-media-stream", "--deny-permission-prompts"],
        )
        page = await browser.new_page()
        await page.goto(server.url)
        await page.click("#start-camera")
        await state(page, "problem")
        assert await page.locator("html").get_attribute("data-problem") in (
            "camera-refused",
            "camera-dismissed",
        )
        await browser.close()


async def test_no_third_party_is_asked(server: Server, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(server.url)
    await page.click("#start-demo")
    await captioned(page)

    assert asked
    assert all(url.startswith((server.url, "blob:", "data:")) for url in asked)


async def test_a_screen_reader_is_told_sparingly(server: Server, page: Page) -> None:
    await page.goto(server.url)
    await page.click("#start-demo")
    live = page.locator("#announcement")
    assert await live.get_attribute("aria-live") == "polite"
    await expect(live).to_have_text(re.compile(r"\w+ \w+"), timeout=SOON)
    await page.evaluate(
        """() => {
          window.told = 0;
          const everything = { childList: true, characterData: true, subtree: true };
          new MutationObserver(() => window.told++).observe(
            document.querySelector('#announcement'), everything);
          const interval = document.querySelector('#interval');
          interval.value = '0.25';
          interval.dispatchEvent(new Event('input', { bubbles: true }));
        }"""
    )
    seq = int(str(await page.locator("#caption").get_attribute("data-seq")))
    await page.wait_for_function(
        f"() => Number(document.querySelector('#caption').dataset.seq) > {seq} + 16", timeout=SOON
    )

    assert await page.evaluate("() => window.told") <= 4


async def test_it_works_by_keyboard_alone(server: Server, page: Page) -> None:
    await page.goto(server.url)
    await page.focus("#start-demo")
    await page.keyboard.press("Enter")
    await captioned(page)
    await page.focus("#caption .word")
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#word-detail")).to_contain_text("%")
    await page.focus("#stop")
    await page.keyboard.press("Enter")
    await state(page, "idle")


@pytest.mark.parametrize("width", [360, 768, 1920])
async def test_nothing_is_cut_off_at_any_width(server: Server, page: Page, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    await page.goto(server.url)
    await page.click("#start-demo")
    await captioned(page)
    wider: Any = await page.evaluate("() => document.documentElement.scrollWidth - innerWidth")

    assert wider <= 0


async def show_word_map(page: Page) -> None:
    """Rest the pointer on a word until its map is drawn.

    The word is held from then on, but its map goes when the video does not show it any more: if the
    demo turns to its next photograph before the map is drawn, it never is.
    """
    word = page.locator("#caption .word[aria-description]").first
    for _ in range(10):
        await word.hover(timeout=SOON)
        try:
            await expect(page.locator("#map")).to_be_visible()
            return
        except AssertionError:
            await page.mouse.move(0, 0)
    raise AssertionError("no word's map was drawn")


async def test_a_caption_is_frozen_explained_contrasted_and_checked(
    server: Server, page: Page
) -> None:
    await page.add_init_script(f"({RECORD_SENT})()")
    await page.goto(server.url)
    await page.click("#start-demo")
    await show_word_map(page)
    await expect(page.locator("#map-legend")).to_contain_text("came from, weak to strong")
    await page.click("#freeze")
    panel = page.locator(".map-panel").first
    await expect(panel.locator(".map-location")).not_to_be_empty()
    await expect(page.locator("#check-verdict")).to_have_text(
        re.compile("^(Holds up|Fails|Can\u2019t tell)$"), timeout=SOON
    )
    await expect(page.locator("#check-bars > div")).to_have_count(3)
    await expect(page.locator("#check-sentence")).to_have_text(re.compile("region"))

    await page.locator("#rivals .pick").nth(1).click()
    await expect(panel.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile("instead of “.+” by Word map"), timeout=SOON
    )
    await page.get_by_text("More methods").click()
    await page.click(".method:text-is('RISE')")
    await expect(panel.get_by_role("progressbar")).to_have_attribute(
        "value", re.compile(r"0\.\d"), timeout=SOON
    )
    await panel.get_by_role("button", name="Cancel").click()
    await expect(panel).to_contain_text("Cancelled.")
    await page.click(".method:text('HiResCAM')")
    await expect(panel).to_have_attribute("data-state", "shown", timeout=SOON)
    # The picture is the server's own, and all of it was drawn.
    assert await page.evaluate(
        """() => {
          const canvas = document.querySelector('.map-panel canvas');
          const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          return data.every((value, at) => at % 4 < 3 || value === 255);
        }"""
    )
    await page.keyboard.press("Escape")
    await expect(page.locator("#freeze")).to_be_focused()
    sent = [json.loads(text) for text in await page.evaluate("() => window.sent")]
    for message in sent:
        CLIENT_MESSAGE.validate(message)
    assert {"freeze", "explain", "check", "cancel", "release"} <= {each["type"] for each in sent}


@pytest.mark.timeout(600)
async def test_how_easily_it_is_fooled_is_asked_and_reported(server: Server, page: Page) -> None:
    await page.add_init_script(f"({RECORD_SENT})()")
    await page.goto(server.url)
    await page.click("#start-demo")
    await captioned(page)
    await page.click("#freeze")
    part = page.locator("#attack")
    await page.click("#attack-tab")
    await part.locator(".work").evaluate(RECORD_PROGRESS)
    seq = "() => Number(document.querySelector('#caption').dataset.seq)"
    before = await page.evaluate(seq)
    await part.get_by_role("button", name="Try to fool it").click()
    # Captions go on behind it.
    await page.wait_for_function(f"{seq} > {before} + 1", timeout=SOON)
    await expect(part).to_have_attribute("data-state", "running")
    # It needs no connection, and what remains of it is faster without the video.
    await page.evaluate("() => document.querySelector('#stop').click()")
    await state(page, "idle")
    await expect(part).to_have_attribute("data-state", "done", timeout=LONG)
    remarks, bars = zip(*await page.evaluate("() => window.progress"), strict=True)
    assert any(re.fullmatch(r"[A-Z].+: \d+%, .+ left\.", remark) for remark in remarks)
    assert any(re.match(r"0\.\d", bar or "") for bar in bars)

    assert 2 <= await part.locator(".summary > li").count() <= 4
    await expect(part.locator(".caption-card .diff").first).to_be_visible()
    words = await part.locator(".caption-card .diff").first.evaluate(SEEN_WORDS)
    assert len(words) > 1
    async with page.context.expect_page() as opening:
        await part.get_by_role("link", name="Open report").click()
    report = await opening.value
    body = report.locator("body")
    await expect(body).to_contain_text(" ".join(words), ignore_case=True, timeout=SOON)
    # The frame, and what the captioner got as a square, in the ratio of the frame.
    ratios = "(all) => all.map(({ naturalWidth: w, naturalHeight: h }) => (w / h).toFixed(1))"
    assert set(await body.locator("#adversarial img, .screen img").evaluate_all(ratios)) == {"1.3"}
    await expect(body.locator("#maps figure")).to_have_count(len(words) + 1)
    await report.close()
    for text in await page.evaluate("() => window.sent"):
        CLIENT_MESSAGE.validate(json.loads(text))


async def test_maps_are_drawn_into_the_returned_video_when_asked_for(
    server: Server, page: Page
) -> None:
    await page.goto(server.url)
    await page.click("#start-demo")
    await captioned(page)
    for choice in ("video-words", "none"):
        await page.select_option("#heat-maps", choice)
        await expect(page.locator("#confirmation")).to_have_text("Saved", timeout=SOON)
        await expect(page.locator("#heat-maps")).to_have_value(choice)


async def test_closing_the_page_frees_the_session(server: Server, browser: Browser) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(server.url)
    await page.click("#start-camera")
    await state(page, "live")
    await context.close()

    def sessions() -> int:
        with urllib.request.urlopen(f"{server.url}/healthz") as response:
            return int(json.load(response)["sessions"])

    async with asyncio.timeout(10):
        while await asyncio.to_thread(sessions):
            await asyncio.sleep(0.1)


async def test_an_insecure_origin_is_explained(server: Server, page: Page) -> None:
    """Where browsers give no page a camera, they have no `navigator.mediaDevices` either."""
    await page.add_init_script(
        "Object.defineProperty(navigator, 'mediaDevices', { value: undefined });"
    )
    await page.goto(server.url)
    await page.click("#start-camera")
    await state(page, "problem")

    await expect(page.locator("html")).to_have_attribute("data-problem", "camera-insecure")
    await expect(page.locator("#overlay")).to_contain_text("https")


async def test_captions_are_spoken_when_asked_for(server: Server, page: Page) -> None:
    await page.add_init_script(
        """
        window.spoken = [];
        speechSynthesis.speak = (utterance) => window.spoken.push(utterance.text);
        """
    )
    await page.goto(server.url)
    await page.click("#start-demo")
    await captioned(page)
    assert await page.evaluate("() => window.spoken") == []
    await page.check("#speak")
    await page.wait_for_function("() => window.spoken.length > 0", timeout=SOON)

    assert re.search(r"\w+ \w+", (await page.evaluate("() => window.spoken"))[0])


async def test_what_was_said_earlier_is_kept(server: Server, page: Page) -> None:
    await page.goto(server.url)
    await page.click("#start-demo")
    first = await captioned(page)
    await page.locator("#interval").fill("0.25")
    entries = page.locator("#earlier > li")
    await expect(entries.nth(2)).to_be_visible(timeout=SOON)

    texts = await entries.all_inner_texts()
    assert first in texts[-1]
    assert all(re.search(r"\d:\d\d", text) for text in texts)


async def test_a_file_that_is_no_picture_is_explained(
    server: Server, page: Page, tmp_path: Path
) -> None:
    nonsense = tmp_path / "film.mp4"
    nonsense.write_bytes(b"this is no film" * 100)
    await page.goto(server.url)
    await page.set_input_files("#file", str(nonsense))
    await state(page, "problem")

    await expect(page.locator("html")).to_have_attribute("data-problem", "file-unplayable")


async def play_file(
    page: Page, content: bytes, name: str, kind: str, shots: int
) -> list[list[list[int]]]:
    """Return the colours of centre and corner of a file's frames, one shot in 100 ms."""
    colours: list[list[list[int]]] = await page.evaluate(
        PLAY_FILE, [base64.b64encode(content).decode(), name, kind, shots]
    )
    return colours


@pytest.mark.parametrize("kind", ["png", "webp"])
async def test_a_transparent_image_of_ones_own_is_on_white(
    server: Server, page: Page, kind: str
) -> None:
    image, file = Image.new("RGBA", (96, 64), (0, 0, 0, 0)), io.BytesIO()
    image.paste((0, 0, 0, 255), (32, 16, 64, 48))
    image.save(file, kind, lossless=True)
    await page.goto(server.url)
    (centre, corner), *_ = await play_file(
        page, file.getvalue(), f"disc.{kind}", f"image/{kind}", 1
    )
    assert max(centre) < 40
    assert min(corner) > 215


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "avif"])
async def test_an_animation_of_ones_own_is_played(server: Server, page: Page, kind: str) -> None:
    colours = [(220, 20, 20), (20, 200, 20), (20, 20, 220)]
    first, *rest = (Image.new("RGB", (96, 64), colour) for colour in colours)
    file = io.BytesIO()
    first.save(file, kind, save_all=True, append_images=rest, duration=300)
    await page.goto(server.url)
    shots = await play_file(page, file.getvalue(), f"anim.{kind}", f"image/{kind}", 20)
    seen = [max(range(3), key=centre.__getitem__) for centre, _ in shots]
    assert set(seen) == {0, 1, 2}


async def test_a_photo_that_the_browser_cannot_decode_is_named(
    server: Server, page: Page, tmp_path: Path
) -> None:
    photo = tmp_path / "IMG_0001.HEIC"
    photo.write_bytes(write_heic(pixels(200, 150)))
    await page.goto(server.url)
    await page.set_input_files("#file", str(photo))
    await state(page, "problem")
    await expect(page.locator("html")).to_have_attribute("data-problem", "file-heic")


async def test_text_from_the_server_is_never_markup(server: Server, page: Page) -> None:
    """A caption is words; were it ever more, the page would show it and not run it."""
    await page.add_init_script(
        """
        const parse = JSON.parse;
        JSON.parse = (text, ...rest) => {
          const message = parse(text, ...rest);
          if (message?.type !== 'caption') return message;
          const evil = '<img src=x onerror="window.ran=1">';
          return { ...message, text: evil, words: [{ text: evil, prob: 1, alternatives: [] }] };
        };
        """
    )
    await page.goto(server.url)
    await page.click("#start-demo")
    await expect(page.locator("#sentence")).to_contain_text("<img", timeout=SOON)

    assert await page.evaluate("() => window.ran") is None
    assert await page.locator("img[src=x]").count() == 0
