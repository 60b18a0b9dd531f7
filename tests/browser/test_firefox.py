"""The page in Firefox, against a server with default settings."""

from pathlib import Path

from tests.network.private_network import PrivateNetwork, run_in_private_network
from tests.support.page.firefox import FirefoxPage, open_firefox
from tests.support.servers.server_process import SCRIPTED, ServerProcess

VIDEO = "document.querySelector('#returned-video')"
SENTENCE = "document.querySelector('#sentence').textContent"
STATE = "document.documentElement.dataset.state"
FEED = '[feeds.yard]\nsource = "demo"\n'
MDNS_PORT = 5353
TITLE = "document.querySelector('#overlay-title').textContent"
SOURCE = "document.documentElement.dataset.source"

# The column and the row, from 0 to 1, of the middle of what the live map marks.
MARKED = """(() => {
  const canvas = document.querySelector('#map');
  const { width, height } = canvas;
  const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
  const marked = [...Array(width * height).keys()].filter((at) => data[4 * at + 3] > 150);
  const mean = (of) => marked.reduce((sum, at) => sum + of(at), 0) / marked.length;
  return marked.length && [mean((at) => at % width) / width,
    mean((at) => Math.floor(at / width)) / height];
})()"""
WALL = """(() => {
  const tile = document.querySelector('.wall-tile');
  return tile && tile.querySelector('video').videoWidth > 0
    && /A dog runs/.test(tile.querySelector('.words').textContent);
})()"""

# The largest difference of a colour channel in the returned video, above the caption.
CONTRAST = """(() => {
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d');
  context.drawImage(document.querySelector('#returned-video'), 0, 0, 16, 12);
  const { data } = context.getImageData(0, 2, 16, 6);
  const channels = [0, 1, 2].map((channel) => data.filter((_, at) => at % 4 === channel));
  return Math.max(...channels.map((all) => Math.max(...all) - Math.min(...all)));
})()"""


# Watches a feed as a player does that bundles everything and has another, inactive video.
WATCH_BUNDLED = """(async () => {
  const peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  peer.addTransceiver('audio', { direction: 'recvonly' });
  peer.addTransceiver('video', { direction: 'inactive' });
  const { receiver } = peer.addTransceiver('video', { direction: 'recvonly' });
  await peer.setLocalDescription();
  const sdp = peer.localDescription.sdp;
  const headers = { 'Content-Type': 'application/sdp' };
  const response = await fetch('/whep/yard', { method: 'POST', headers, body: sdp });
  await peer.setRemoteDescription({ type: 'answer', sdp: await response.text() });
  const video = document.createElement('video');
  video.muted = true;
  video.srcObject = new MediaStream([receiver.track]);
  await video.play();
  peer.close();
  return [sdp.includes('a=bundle-only'), video.videoWidth, video.videoHeight];
})()"""


async def live(page: FirefoxPage, source: str) -> None:
    """Wait until a source is captioned and its video plays."""
    await page.until(f"{SOURCE} === '{source}' && {STATE} === 'live'")
    await page.until(f"/A dog runs/.test({SENTENCE})")
    played = await page.evaluate(f"{VIDEO}.currentTime")
    await page.until(f"{VIDEO}.currentTime > {played} + 0.5")


def test_the_walk_from_the_start_to_a_map_a_frozen_caption_and_the_wall(
    tmp_path: Path, footage: Path
) -> None:
    async def work(network: PrivateNetwork) -> None:
        async with (
            ServerProcess.start(config=FEED, program=SCRIPTED) as server,
            open_firefox(tmp_path) as page,
        ):
            await page.goto(server.url)
            assert await page.evaluate(WATCH_BUNDLED) == [True, 640, 480]
            await page.click("#start-demo")
            await live(page, "demo")
            await page.until(f"{CONTRAST} > 30")
            await page.click("#start-camera")
            await live(page, "camera")
            # Firefox's camera shows a single colour, while the demo and the footage show scenes.
            await page.until(f"{CONTRAST} < 30")
            await page.set_file("#file", footage)
            await live(page, "file")
            await page.until(f"{CONTRAST} > 30")
            assert await page.evaluate(f"{VIDEO}.videoWidth / {VIDEO}.videoHeight") == 640 / 272

            # The map of the second of nine words, whose cell is the second of the diagonal.
            await page.hover("#caption .word:nth-child(2)")
            await page.until(MARKED)
            column, row = await page.evaluate(MARKED)
            assert abs(column - 1.5 / 9) < 0.03 and abs(row - 1.5 / 9) < 0.03
            await page.until("/Held/.test(document.querySelector('#age').textContent)")

            await page.click("#freeze")
            await page.until("document.querySelectorAll('.tile').length > 5")
            await page.click(".tile:nth-of-type(2)")
            await page.until("document.querySelector('.map-location')?.textContent")
            assert page.problems == []
            await page.click("#leave-frozen")

            # Firefox uses no loopback address, so it needs a network.
            network.disconnect()
            await page.click("#stop")
            await page.click("#start-demo")
            await page.until(f"{TITLE} === 'Your browser found no network'")
            network.connect()
            await live(page, "demo")

            await page.click("#stop")
            await page.goto(f"{server.url}/?wall")
            await page.until(WALL)
            # Nothing has left the machine but the questions for Firefox's own temporary names.
            assert {port for (_, port), _ in network.sent()} <= {MDNS_PORT}

    run_in_private_network(work)
