"""WHIP and WHEP: FFmpeg publishes, players watch."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from aiortc import RTCRtpReceiver, RTCSessionDescription
from numpy.typing import NDArray

from stream.ice.servers import IceSettings
from stream.settings import StreamSettings
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.peer import Peer
from tests.support.whip_encoder import whip_encoder
from web.app import create_app
from web.settings.sections import AccessSettings
from web.settings.server import ServerSettings

ADMIN, VIEWER = "a" * 20, "v" * 20
SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
STUN = "stun:127.0.0.1:9"
Client = TestClient[web.Request, web.Application]


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Client]:
    app = create_app(
        ServerSettings(
            access=AccessSettings(admin_token=ADMIN, viewer_token=VIEWER),
            stream=StreamSettings(**{"interval_s": 0.25, **settings}),
        ),
        ScriptedCaptions(confident_caption("A man rides a bicycle")),
    )
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    async with serving() as client:
        yield client


def bearer(token: str, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **headers}


async def post(client: Client, path: str, sdp: str, token: str = ADMIN) -> ClientResponse:
    headers = bearer(token, **{"Content-Type": SDP, "Accept": SDP})
    return await client.post(path, data=sdp, headers=headers)


async def start(client: Client, peer: Peer, path: str, token: str = ADMIN) -> ClientResponse:
    response = await post(client, path, (await peer.offer()).sdp, token)
    assert response.status == 201, await response.text()
    await peer.accept(RTCSessionDescription(await response.text(), "answer"))
    return response


async def feeds(client: Client) -> list[dict[str, Any]]:
    response = await client.get("/api/feeds", headers=bearer(VIEWER))
    found: list[dict[str, Any]] = (await response.json())["feeds"]
    return found


async def first_caption(client: Client) -> dict[str, Any]:
    """Wait for the first caption of any feed."""
    async with asyncio.timeout(20):
        while True:
            for feed in await feeds(client):
                if feed["caption"]:
                    caption: dict[str, Any] = feed["caption"]
                    return caption
            await asyncio.sleep(0.1)


async def code(response: ClientResponse) -> tuple[int, str]:
    return response.status, (await response.json())["error"]["code"]


def has_text(band: NDArray[Any]) -> bool:
    """Return whether part of a video's luma is bright text on dark ground."""
    return bool(np.percentile(band, 99) > 180 and np.median(band) < 110)


async def test_ffmpeg_publishes_and_a_player_watches(
    client: Client, footage: Path, tmp_path: Path
) -> None:
    url = str(client.make_url("/whip/street"))
    async with Peer(None, channel=False) as player:
        async with whip_encoder(url, ADMIN, footage, tmp_path):
            caption = await first_caption(client)
            assert caption["text"] == "A man rides a bicycle"
            assert caption["frame"]["width"] == 320

            await start(client, player, "/whep/street", VIEWER)
            await player.until(lambda: len(player.frames) > 10)
            first, last = player.frames[0].to_ndarray(), player.frames[-1].to_ndarray()
            assert (player.frames[-1].width, player.frames[-1].height) == (320, 240)
            # The video moves, and shows the caption in white on a dark band.
            assert np.abs(first[:160].astype(int) - last[:160]).mean() > 2
            # After a cut of the footage the band is empty until the next caption.
            await player.until(lambda: has_text(player.frames[-1].to_ndarray()[222:234]))
            assert [feed["viewers"] for feed in await feeds(client)] == [1]
        # FFmpeg ends its session with DELETE.
        assert await feeds(client) == []
        await player.until(lambda: player.connection.connectionState == "closed")


async def test_a_session_has_a_url_and_is_ended_there(client: Client, footage: Path) -> None:
    async with Peer(footage, channel=False) as source:
        started = await start(client, source, "/whip/street")
        assert started.headers["Content-Type"] == SDP
        assert re.fullmatch(r"/whip/street/[\w-]{20,}", started.headers["Location"])
        assert re.fullmatch(r'"[!#-~]+"', started.headers["ETag"])
        assert started.headers["Accept-Patch"] == FRAGMENT
        answer = await started.text()
        assert "a=candidate:" in answer and "a=recvonly" in answer

        assert await code(await post(client, "/whip/street", source_sdp(source))) == (
            409,
            "name-taken",
        )
        there = started.headers["Location"]
        elsewhere = there.replace("street", "garden"), there.replace("whip", "whep")
        for path in elsewhere:
            assert (await client.delete(path, headers=bearer(ADMIN))).status == 404
        assert (await client.delete(there, headers=bearer(ADMIN))).status == 200
        assert (await client.delete(there, headers=bearer(ADMIN))).status == 404
        assert await feeds(client) == []
    async with Peer(footage, channel=False) as again:
        await start(client, again, "/whip/street")


def source_sdp(peer: Peer) -> str:
    text: str = peer.connection.localDescription.sdp
    return text


async def test_a_player_can_watch_without_the_caption(client: Client, footage: Path) -> None:
    async with Peer(footage, channel=False) as source, Peer(None) as player:
        await start(client, source, "/whip/street")
        offer = (await player.offer()).sdp
        response = await post(client, "/whep/street?caption=of", offer, VIEWER)
        assert response.status == 400
        assert (await response.json())["error"]["message"] == "caption must be on or off"
        response = await post(client, "/whep/street?captions=off", offer, VIEWER)
        assert response.status == 400

        response = await start(client, player, "/whep/street?caption=off", VIEWER)
        assert "?" not in response.headers["Location"]
        await player.until(lambda: player.frames and player.received("hello"))
        assert player.received("hello")[0]["settings"]["returned_video"] == "plain"


async def test_publishing_requires_an_admin_and_watching_a_token(client: Client) -> None:
    async with Peer(None, channel=False) as peer:
        sdp = (await peer.offer()).sdp
    for path, token, expected in (
        ("/whip/street", VIEWER, (403, "not-allowed")),
        ("/whip/street", "w" * 20, (401, "no-token")),
        ("/whep/street", "w" * 20, (401, "no-token")),
        ("/whep/street", VIEWER, (404, "not-found")),
    ):
        assert await code(await post(client, path, sdp, token)) == expected


@pytest.mark.parametrize(
    ("path", "headers", "body", "expected"),
    [
        ("/whip/street", {"Content-Type": "application/json"}, "{}", (415, "bad-type")),
        ("/whip/street", {"Accept": "text/html"}, "v=0", (406, "bad-accept")),
        ("/whip/street", {}, "", (400, "no-offer")),
        ("/whip/street", {}, "nonsense", (400, "bad-sdp")),
        ("/whip/street", {}, b"\xff\xfe", (400, "bad-request")),
        ("/whip/The%20Street", {}, "v=0", (400, "bad-request")),
        ("/whip/street", {}, "v=0" + 70_000 * "x", (413, "too-large")),
        ("/whep/street", {}, "", (400, "no-offer")),
    ],
)
async def test_an_invalid_offer_is_refused_with_a_reason(
    client: Client, path: str, headers: dict[str, str], body: str | bytes, expected: tuple[int, str]
) -> None:
    sent = bearer(ADMIN, **{"Content-Type": SDP, **headers})
    assert await code(await client.post(path, data=body, headers=sent)) == expected


def bundled(sdp: str) -> str:
    """Let all sections but the first refer to it (RFC 9143, section 6)."""
    head, first, *others = re.split(r"^(?=m=)", sdp, flags=re.M)
    transport = r"^a=(ice-\S+|fingerprint|setup|candidate|end-of-candidates|rtcp-mux)\b.*\r\n"
    ports = (re.sub(r"^(m=\w+) \d+", r"\1 0", section) for section in others)
    rest = (re.sub(transport, "", section, flags=re.M) + "a=bundle-only\r\n" for section in ports)
    return "".join([head, first, *rest])


async def test_bundle_only_sections_and_inactive_video_are_accepted(
    client: Client, footage: Path
) -> None:
    """What `bundlePolicy: "max-bundle"` offers."""
    async with Peer(footage) as source, Peer(None) as player:
        for peer, path in ((source, "/whip/street"), (player, "/whep/street")):
            peer.connection.addTransceiver("audio", direction="sendonly")
            peer.connection.addTransceiver("video", direction="inactive")
            sdp = bundled((await peer.offer()).sdp)
            assert sdp.count("a=ice-ufrag") == 1 and sdp.count(" 0 UDP") == 3
            response = await post(client, path, sdp)
            assert response.status == 201, await response.text()
            await peer.accept(RTCSessionDescription(await response.text(), "answer"))
        await player.until(lambda: len(player.frames) > 10 and player.received("caption"))


@pytest.mark.parametrize("is_bundled", [False, True])
async def test_a_section_that_the_offer_rejects_is_rejected_in_the_answer(
    client: Client, footage: Path, is_bundled: bool
) -> None:
    rejected = "m=video 0 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\na=mid:old\r\n"
    async with Peer(footage) as source, Peer(None) as player:
        await start(client, source, "/whip/street")
        head, *sections = re.split(r"^(?=m=)", (await player.offer()).sdp, flags=re.M)
        if is_bundled:
            head = head.replace("a=group:BUNDLE ", "a=group:BUNDLE old ")
        sections.insert(0, rejected.replace("a=inactive", "a=rtpmap:96 VP8/90000"))
        response = await post(client, "/whep/street", head + "".join(sections))
        assert response.status == 201, await response.text()
        answer = await response.text()
        head, *sections = re.split(r"^(?=m=)", answer, flags=re.M)
        assert sections[0] == rejected
        assert len(sections) == 3 and "a=group:BUNDLE 0 1\r\n" in head
        # aiortc understands no rejected section.
        await player.accept(RTCSessionDescription(head + "".join(sections[1:]), "answer"))
        await player.until(lambda: len(player.frames) > 10 and player.received("caption"))


async def test_a_player_with_h264_only_watches_too(client: Client, footage: Path) -> None:
    async with Peer(footage) as source, Peer(None) as player:
        await start(client, source, "/whip/street")
        (transceiver,) = player.connection.getTransceivers()
        supported = RTCRtpReceiver.getCapabilities("video")
        assert supported
        h264 = [codec for codec in supported.codecs if "H264" in codec.mimeType]
        transceiver.setCodecPreferences(h264)
        response = await start(client, player, "/whep/street", VIEWER)
        assert "VP8" not in await response.text()
        # Constrained Baseline, as RFC 7742, section 6.2, requires of all.
        format_parameters = re.findall(r"a=fmtp:.*", await response.text())
        assert "profile-level-id=42e01f" in format_parameters[0]
        assert "packetization-mode=1" in format_parameters[0]
        await player.until(lambda: len(player.frames) > 10 and player.received("caption"))
        assert (player.frames[-1].width, player.frames[-1].height) == (640, 272)


async def test_an_unsupported_codec_is_refused_with_the_supported_ones(
    client: Client, footage: Path
) -> None:
    async with Peer(footage, channel=False) as source:
        sdp = (await source.offer()).sdp.replace("VP8/90000", "AV1/90000")
        sdp = re.sub("profile-level-id=[0-9a-f]{6}", "profile-level-id=64001f", sdp)
        refused = await post(client, "/whip/street", sdp)
    assert await code(refused) == (400, "no-codec")
    assert "H.264 Baseline" in await refused.text()


async def test_other_methods_get_405_and_options_lists_the_allowed_ones(client: Client) -> None:
    for method in ("GET", "HEAD", "PUT"):
        refused = await client.request(method, "/whip/street", headers=bearer(ADMIN))
        assert refused.status == 405
        assert refused.headers["Allow"] == "OPTIONS,POST"
    assert (await client.get("/whep/street/abc", headers=bearer(ADMIN))).status == 405
    for path in ("/whip", "/whep"):
        options = await client.options(f"{path}/street")
        assert (options.status, options.headers["Accept-Post"]) == (204, SDP)
        assert (await client.options(f"{path}/street/abc")).headers["Accept-Patch"] == FRAGMENT


async def test_a_page_of_another_site_may_watch_with_a_token(client: Client) -> None:
    origin = {"Origin": "https://player.example.org"}
    preflight = {**origin, "Access-Control-Request-Method": "POST"}
    allowed = await client.options("/whep/street", headers=preflight)
    assert allowed.status == 204
    assert "POST" in allowed.headers["Access-Control-Allow-Methods"]
    async with Peer(None, channel=False) as peer:
        sdp = (await peer.offer()).sdp
    headers = bearer(VIEWER, **origin, **{"Content-Type": SDP})
    answered = await client.post("/whep/street", data=sdp, headers=headers)
    assert answered.status == 404
    assert answered.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_full_server_gives_503_with_retry_after(footage: Path) -> None:
    async with serving(sessions=1, viewers=1) as client, Peer(footage, channel=False) as source:
        await start(client, source, "/whip/street")
        async with Peer(None, channel=False) as one, Peer(None, channel=False) as two:
            await start(client, one, "/whep/street", VIEWER)
            refused = await post(client, "/whep/street", (await two.offer()).sdp, VIEWER)
            assert await code(refused) == (503, "server-full")
            assert int(refused.headers["Retry-After"]) > 0
        refused = await post(client, "/whip/garden", source_sdp(source))
        assert await code(refused) == (503, "server-full")


def fragment(sdp: str, *lines: str) -> str:
    """An SDP fragment for the connection of an offer."""
    kept = re.findall(r"^a=(?:ice-ufrag|ice-pwd):.*$", sdp, re.M)[:2]
    mid = re.findall(r"^a=mid:.*$", sdp, re.M)[:1]
    return "\r\n".join([*map(str.strip, [*kept, "m=video 9 UDP/TLS/RTP/SAVPF 0", *mid]), *lines])


async def test_trickled_candidates_connect(client: Client, footage: Path) -> None:
    """Only the client's candidates are known, so that the server has to reach the client."""
    async with Peer(footage, channel=False) as source:
        offer = (await source.offer()).sdp
        lines = offer.splitlines()
        late = [line for line in lines if line.startswith("a=candidate:")]
        bare = [line for line in lines if not line.startswith(("a=candidate:", "a=end-of-"))]
        started = await post(client, "/whip/street", "\r\n".join(bare) + "\r\n")
        answer = re.sub(r"a=(candidate:|end-of-candidates).*\r\n", "", await started.text())
        await source.accept(RTCSessionDescription(answer, "answer"))

        patch = bearer(ADMIN, **{"Content-Type": FRAGMENT, "If-Match": started.headers["ETag"]})
        there, body = started.headers["Location"], fragment(offer, *late, "a=end-of-candidates")
        assert (await client.patch(there, data=body, headers=patch)).status == 204
        await source.until(lambda: source.connection.connectionState == "connected")
        await first_caption(client)


async def test_an_invalid_patch_is_refused_with_a_reason(client: Client, footage: Path) -> None:
    async with Peer(footage, channel=False) as source:
        started = await start(client, source, "/whip/street")
        offer, there, tag = source_sdp(source), started.headers["Location"], started.headers["ETag"]
        candidate = "a=candidate:1 1 udp 1 127.0.0.1 {} typ host"
        many = [candidate.format(port) for port in range(2000, 2033)]
        restart = fragment(offer).replace("a=ice-ufrag:", "a=ice-ufrag:x")
        for match, kind, body, expected in (
            (None, FRAGMENT, fragment(offer), (428, "no-if-match")),
            ('"other"', FRAGMENT, fragment(offer), (412, "other-etag")),
            (tag, SDP, fragment(offer), (415, "bad-type")),
            ("*", FRAGMENT, restart, (422, "no-ice-restart")),
            (tag, FRAGMENT, "", (400, "bad-fragment")),
            (tag, FRAGMENT, fragment(offer, "a=candidate:1 x"), (400, "bad-fragment")),
            (tag, FRAGMENT, fragment(offer, *many, *many), (400, "bad-fragment")),
        ):
            headers = bearer(ADMIN, **{"Content-Type": kind})
            if match:
                headers["If-Match"] = match
            refused = await client.patch(there, data=body, headers=headers)
            assert await code(refused) == expected
        headers = bearer(ADMIN, **{"Content-Type": FRAGMENT, "If-Match": f'"x", {tag}'})
        for status in (204, 400):
            taken = await client.patch(there, data=fragment(offer, *many), headers=headers)
            assert taken.status == status


async def test_ice_servers_are_listed_before_and_with_the_answer(footage: Path) -> None:
    app = create_app(
        ServerSettings(
            ice=IceSettings(
                turn=("turn:127.0.0.1:9?transport=tcp",), turn_username="me", turn_password="p"
            )
        ),
        ScriptedCaptions(confident_caption("A man")),
    )
    async with TestClient(TestServer(app)) as client, Peer(footage, channel=False) as source:
        listed = await (await client.get("/api/ice")).json()
        urls = ["turn:127.0.0.1:9?transport=tcp"]
        assert listed == {"ice_servers": [{"urls": urls, "username": "me", "credential": "p"}]}
        started = await start(client, source, "/whip/street")
        assert started.headers.getall("Link") == [
            f'<{urls[0]}>; rel="ice-server"; username="me"; credential="p"; '
            'credential-type="password"'
        ]
