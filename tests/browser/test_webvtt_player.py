"""A feed's WebVTT as the subtitle track of a browser's own player."""

import pytest
from playwright.async_api import Page

from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.servers.feed_app import DOG, serve_feeds

SOON = 30_000
PLAY = """() => {
  const canvas = document.createElement('canvas');
  const draw = () => canvas.getContext('2d').fillRect(Math.random() * 300, 0, 9, 9);
  setInterval(draw, 40);
  const video = document.createElement('video');
  video.id = 'player';
  video.muted = true;
  video.srcObject = canvas.captureStream(25);
  document.body.prepend(video);
  return video.play();
}"""
ADD_TRACK = """follow => {
  const video = document.querySelector('#player');
  const track = document.createElement('track');
  track.kind = 'subtitles';
  track.default = true;
  const zero = Date.now() / 1000 - video.currentTime;
  track.src = `/api/feeds/yard/captions.vtt?zero=${zero}&follow=${follow}`;
  video.append(track);
  track.track.mode = 'showing';
}"""
SHOWN = """text => [...document.querySelector('#player').textTracks[0].activeCues ?? []]
  .some(cue => cue.text === text)"""


@pytest.mark.parametrize("follow", ["false", "true"])
async def test_subtitles_show_over_a_video_that_plays(page: Page, follow: str) -> None:
    captions = ScriptedCaptions(DOG)
    async with serve_feeds(captions) as client:
        await page.goto(str(client.make_url("/")))
        await page.evaluate(PLAY)
        await page.wait_for_timeout(600)
        await page.evaluate(ADD_TRACK, follow)
        await page.wait_for_function(SHOWN, arg="A dog runs", timeout=SOON)
        if follow == "true":
            captions.caption = confident_caption("A cat sits", cat=0.9)
            await page.wait_for_function(SHOWN, arg="A cat sits", timeout=SOON)
        await page.goto("about:blank")
