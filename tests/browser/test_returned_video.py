"""The page without returned video: it shows the camera or the file itself, in Chromium."""

import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import Page, expect

from stream.load import LoadLevel, LoadMonitor
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.page.feed_page import HALL, serve_feeds
from tests.support.page.scripted_page import (
    SOON,
    ExplainedCaptions,
    cell_map,
    more_captions,
    show_page,
    with_maps,
)

DOG = with_maps(confident_caption("A dog runs"), cell_map(1, 1), cell_map(4, 4), cell_map(7, 7))
CHOICE = "#returned-video-choice"
SHARED = "Others may watch this video too, so it comes with the caption."

RECORD_PEERS = """
  window.peers = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...all) { super(...all); window.peers.push(this); }
  };
"""
SHOWN = """() => {
  const shown = document.querySelector('#returned-video').srcObject?.getVideoTracks()[0];
  const [sender] = window.peers.at(-1)?.getSenders() ?? [];
  return { isOwn: !!shown && shown.id === sender?.track?.id, width: document.querySelector(
    '#returned-video').videoWidth };
}"""
RECEIVED = """async () => {
  for (const report of (await window.peers.at(-1).getStats()).values()) {
    if (report.type === 'inbound-rtp' && report.kind === 'video') return report.packetsReceived;
  }
  return 0;
}"""

RECORD_FRAMES = """() => {
  window.frames_seen = [];
  const video = document.querySelector('#returned-video');
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 8;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const record = () => {
    context.drawImage(video, 0, 0, 8, 8);
    const [red, , blue] = context.getImageData(0, 0, 1, 1).data;
    window.frames_seen.push([
      red > blue, document.querySelector('#map').dataset.painted === 'true',
      document.querySelector('#screen').dataset.age]);
    video.requestVideoFrameCallback(record);
  };
  video.requestVideoFrameCallback(record);
}"""


async def shows_own_video(page: Page, *, own: bool) -> None:
    """Wait until the stage shows the page's own video, or the returned one."""
    await page.wait_for_function(
        f"(own) => {{ const now = ({SHOWN})(); return now.isOwn === own && now.width > 0; }}",
        arg=own,
        timeout=SOON,
    )


async def test_the_camera_itself_is_shown_and_no_video_is_returned(page: Page) -> None:
    await page.add_init_script(RECORD_PEERS)
    async with show_page(page, ExplainedCaptions(DOG)):
        await shows_own_video(page, own=False)
        await expect(page.locator("#about-returned-video")).to_contain_text("with the caption")
        await page.select_option(CHOICE, "off")
        await shows_own_video(page, own=True)
        await expect(page.locator("#confirmation")).to_have_text("Saved")
        await expect(page.locator("#returned-video")).to_have_attribute(
            "aria-label", "Your own video, shown directly"
        )
        await more_captions(page)
        received = await page.evaluate(RECEIVED)
        await more_captions(page, 6)
        assert await page.evaluate(RECEIVED) == received

        # Captions are held, their maps are drawn, and they are frozen as before.
        await page.hover("#caption .word >> nth=1")
        await expect(page.locator("#map")).to_be_visible()
        await more_captions(page)
        await expect(page.locator("#age")).to_contain_text("Held")
        await page.hover("h1")
        await page.click("#freeze")
        await expect(page.locator("#frozen-heading")).to_have_text("A dog runs")
        await expect(page.locator("#frozen-notice")).to_have_text("")
        await page.click("#leave-frozen")
        await page.keyboard.press("f")
        await page.wait_for_function("() => document.fullscreenElement?.id === 'screen'")
        await page.keyboard.press("f")
        await shows_own_video(page, own=True)

        page.on("dialog", lambda dialog: dialog.accept())
        await page.reload()
        await page.click("#start-camera")
        await shows_own_video(page, own=True)
        await more_captions(page)
        await expect(page.locator(CHOICE)).to_have_value("off")
        await expect(page.locator("#confirmation")).to_have_text("Saved")

        await page.select_option(CHOICE, "plain")
        await shows_own_video(page, own=False)
        received = await page.evaluate(RECEIVED)
        await page.wait_for_function(f"async () => await ({RECEIVED})() > {received}", timeout=SOON)


def two_scenes(path: Path) -> Path:
    """Write a video that changes between two scenes every second: a red one and a blue one."""
    random = np.random.default_rng(1)
    scenes = [_scene(random, colour) for colour in ((1.0, 0.6, 0.2), (0.2, 0.6, 1.0))]
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libvpx", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = (
            160,
            120,
            "yuv420p",
            2_000_000,
        )
        for index in range(40):
            frame = av.VideoFrame.from_ndarray(scenes[index // 10 % 2], "rgb24")
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def _scene(random: np.random.Generator, colour: tuple[float, float, float]) -> NDArray[np.uint8]:
    cells = random.choice([20.0, 255.0], size=(6, 8, 1)) * np.array(colour)
    # The corner tells the scenes apart.
    cells[0, 0] = 255 * np.array(colour)
    scene = cv2.resize(cells.astype(np.uint8), (160, 120), interpolation=cv2.INTER_NEAREST)
    return np.asarray(scene, np.uint8)


async def test_a_map_leaves_the_video_at_a_cut_until_a_caption_of_the_new_scene(
    page: Page, tmp_path: Path
) -> None:
    async with show_page(page, DOG, two_scenes(tmp_path / "scenes.webm")):
        await page.select_option("#heat-maps", "video-words")
        await page.select_option(CHOICE, "off")
        await expect(page.locator("#confirmation")).to_have_text("Saved")
        await expect(page.locator("#map")).to_be_visible(timeout=SOON)
        await expect(page.locator("#word-detail")).to_have_text("")
        await page.evaluate(RECORD_FRAMES)
        cuts = await frames_after_cuts(page)
        assert {(painted, age) for painted, age in cuts} == {(False, "stale")}

        # So does the map of a word in a held caption.
        await page.select_option("#heat-maps", "words")
        await page.focus("#caption .word >> nth=1")
        await expect(page.locator("#age")).to_contain_text("Held")
        await page.evaluate("() => { window.frames_seen.length = 0; }")
        assert not any(painted for painted, _ in await frames_after_cuts(page))


async def frames_after_cuts(page: Page) -> list[tuple[bool, str]]:
    """Return of each first frame of a scene whether a map is on it, and the caption's age.

    Waits for some cuts, and until a map has been on frames of both scenes.
    """
    await page.wait_for_function(
        """() => {
          const frames = window.frames_seen;
          const cuts = frames.filter(([red], at) => at > 0 && red !== frames[at - 1][0]);
          return cuts.length > 2 && [true, false].every(
            (scene) => frames.some(([red, painted]) => red === scene && painted));
        }""",
        timeout=SOON,
    )
    frames = await page.evaluate("() => window.frames_seen")
    return [
        (painted, age) for (before, *_), (red, painted, age) in pairwise(frames) if red != before
    ]


async def test_a_busy_server_offers_once_to_show_the_camera_directly(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    await page.add_init_script(RECORD_PEERS)
    offer, switch = page.locator("#direct-offer"), page.locator("#show-directly")
    # However busy this machine is.
    monkeypatch.setattr(LoadMonitor, "level", LoadLevel.NORMAL)
    async with show_page(page, ScriptedCaptions(DOG)):
        await expect(offer).to_be_hidden()
        monkeypatch.setattr(LoadMonitor, "level", LoadLevel.FEWER_CAPTIONS)
        await expect(offer).to_contain_text(
            "The server is busy. Show your camera directly to make room.", timeout=SOON
        )
        await page.get_by_role("button", name="Not now").click()
        await expect(offer).to_be_hidden()
        await more_captions(page, 5)
        await expect(offer).to_be_hidden()

        await page.click("#start-camera")
        await expect(offer).to_be_visible(timeout=SOON)
        monkeypatch.setattr(LoadMonitor, "level", LoadLevel.NORMAL)
        await expect(offer).to_be_hidden(timeout=SOON)
        monkeypatch.setattr(LoadMonitor, "level", LoadLevel.FEWER_CAPTIONS)
        await expect(offer).to_be_visible(timeout=SOON)
        await switch.click()
        await shows_own_video(page, own=True)
        await expect(page.locator(CHOICE)).to_have_value("off")
        await expect(offer).to_be_hidden()
        # The choice is kept for the demo's sake, which the page cannot show by itself.
        await page.click("#start-demo")
        await expect(page.locator("html")).to_have_attribute("data-source", "demo", timeout=SOON)
        await more_captions(page, 5)
        await shows_own_video(page, own=False)
        await expect(offer).to_be_hidden()
        await expect(page.locator(f"{CHOICE} option[value=off]")).to_be_disabled()
        await expect(page.locator("#about-returned-video")).to_contain_text(
            "This video is on the server, so it cannot be turned off."
        )
        assert await page.input_value(CHOICE) == "annotated"


async def test_what_others_watch_too_is_returned_as_it_is(page: Page) -> None:
    await page.add_init_script(RECORD_PEERS)
    choice, about = page.locator(CHOICE), page.locator("#about-returned-video")
    async with serve_feeds(feeds={"hall": HALL}) as here:
        await page.goto(here.url)
        await page.click("#start-camera")
        await more_captions(page)
        await page.select_option(CHOICE, "off")
        await shows_own_video(page, own=True)
        await page.fill("#publish-name", "desk")
        await page.click("#publish button")
        await expect(page.locator("#published-name")).to_have_text(re.compile("desk"), timeout=SOON)
        await shows_own_video(page, own=False)
        await expect(choice).to_be_disabled()
        await expect(about).to_have_text(SHARED)
        await page.click("#unpublish")
        await shows_own_video(page, own=True)
        await expect(choice).to_have_value("off")

        await page.get_by_role("link", name="The hall").click()
        await expect(page.locator("#state")).to_have_text("Watching: The hall", timeout=SOON)
        await shows_own_video(page, own=False)
        await expect(choice).to_be_disabled()
        await expect(about).to_have_text(SHARED)
