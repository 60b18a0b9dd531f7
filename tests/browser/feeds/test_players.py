"""Players of other pages in Chromium: of WHEP in a few lines, and of WebVTT as a subtitle track."""

import asyncio
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import Page

from stream.settings import StreamSettings
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.servers.feed_app import DOG, serve_feeds
from tests.support.whip_encoder import whip_encoder
from web.app import create_app
from web.keys import PUBLICATIONS
from web.settings.server import ServerSettings

PLAYER = """
async ([path, codec]) => {
  const { ice_servers } = await (await fetch("/api/ice")).json();
  const peer = new RTCPeerConnection({ iceServers: ice_servers });
  const video = Object.assign(document.createElement("video"), { muted: true, autoplay: true });
  document.body.replaceChildren(video);
  const transceiver = peer.addTransceiver("video", { direction: "recvonly" });
  const { codecs } = RTCRtpReceiver.getCapabilities("video");
  transceiver.setCodecPreferences(codecs.filter(({ mimeType }) => mimeType === codec));
  peer.addTransceiver("audio", { direction: "recvonly" });
  peer.ontrack = ({ track }) => {
    if (track.kind === "video") video.srcObject = new MediaStream([track]);
  };
  const found = [];
  const gathered = new Promise((done) => {
    peer.onicecandidate = ({ candidate }) => (candidate ? found.push(candidate) : done());
  });
  const offer = await peer.createOffer();
  const begun = await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/sdp" }, body: offer.sdp,
  });
  await peer.setLocalDescription(offer);
  await peer.setRemoteDescription({ type: "answer", sdp: await begun.text() });
  await gathered;
  const session = begun.headers.get("Location");
  const trickled = await fetch(session, {
    method: "PATCH",
    headers: {
      "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": begun.headers.get("ETag"),
    },
    body: [
      offer.sdp.match(/a=ice-ufrag:.*/)[0], offer.sdp.match(/a=ice-pwd:.*/)[0],
      "m=video 9 UDP/TLS/RTP/SAVPF 0", `a=mid:${found[0].sdpMid}`,
      ...found.map(({ candidate }) => `a=${candidate}`), "a=end-of-candidates",
    ].join("\\r\\n"),
  });
  window.stop = async () => {
    const ended = await fetch(session, { method: "DELETE" });
    peer.close();
    return ended.status;
  };
  return [begun.status, trickled.status];
}
"""
SEEN = """
() => {
  const video = document.querySelector("video");
  const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 12 });
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 16, 12);
  return [video.videoWidth, video.videoHeight, ...context.getImageData(0, 0, 16, 12).data];
}
"""

SOON = 30_000
PLAY_CANVAS = """() => {
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
IS_SHOWN = """text => [...document.querySelector('#player').textTracks[0].activeCues ?? []]
  .some(cue => cue.text === text)"""


async def test_chromium_plays_what_ffmpeg_publishes(
    page: Page, footage: Path, tmp_path: Path
) -> None:
    app = create_app(
        ServerSettings(stream=StreamSettings(interval_s=0.25)),
        ScriptedCaptions(confident_caption("A man")),
    )
    async with TestServer(app) as server:
        await page.goto(str(server.make_url("/")))
        async with whip_encoder(str(server.make_url("/whip/street")), "none", footage, tmp_path):
            async with asyncio.timeout(20):
                while not any(stream.latest_caption for stream in app[PUBLICATIONS].all()):
                    await asyncio.sleep(0.1)
            for codec in ("video/VP8", "video/H264"):
                begun = await page.evaluate(PLAYER, ["/whep/street", codec])
                await page.wait_for_function(
                    "() => document.querySelector('video').getVideoPlaybackQuality()"
                    ".totalVideoFrames > 10"
                )
                seen = await page.evaluate(SEEN)
                await page.wait_for_timeout(400)
                later = await page.evaluate(SEEN)
                stopped = await page.evaluate("window.stop()")

                assert (begun, stopped) == ([201, 204], 200)
                assert seen[:2] == [320, 240]
                changed = sum(abs(a - b) for a, b in zip(seen, later, strict=True)) / len(seen)
                assert changed > 2


@pytest.mark.parametrize("follow", ["false", "true"])
async def test_subtitles_show_over_a_video_that_plays(page: Page, follow: str) -> None:
    captions = ScriptedCaptions(DOG)
    async with serve_feeds(captions) as client:
        await page.goto(str(client.make_url("/")))
        await page.evaluate(PLAY_CANVAS)
        await page.wait_for_timeout(600)
        await page.evaluate(ADD_TRACK, follow)
        await page.wait_for_function(IS_SHOWN, arg="A dog runs", timeout=SOON)
        if follow == "true":
            captions.caption = confident_caption("A cat sits", cat=0.9)
            await page.wait_for_function(IS_SHOWN, arg="A cat sits", timeout=SOON)
        await page.goto("about:blank")
