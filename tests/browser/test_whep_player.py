"""A WHEP player of a few lines, as anybody may write it, in a real Chromium."""

import asyncio
from pathlib import Path

from aiohttp.test_utils import TestServer
from playwright.async_api import Page

from stream.settings import StreamSettings
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.whip_encoder import whip_encoder
from web.app import create_app
from web.keys import PUBLICATIONS
from web.settings.server import ServerSettings

PLAYER = """
async (path) => {
  const { ice_servers } = await (await fetch("/api/ice")).json();
  const peer = new RTCPeerConnection({ iceServers: ice_servers });
  const video = Object.assign(document.createElement("video"), { muted: true, autoplay: true });
  document.body.replaceChildren(video);
  peer.addTransceiver("video", { direction: "recvonly" });
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
            begun = await page.evaluate(PLAYER, "/whep/street")
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
