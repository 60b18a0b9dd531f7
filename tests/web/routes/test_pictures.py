import asyncio

import cv2
import numpy as np
import pytest
from aiortc import RTCSessionDescription

from tests.support.peer import Peer
from tests.web.test_app import Client, error_of, offer_of, until_no_session


async def test_a_frozen_picture_is_had_by_who_knows_the_stream(client: Client) -> None:
    async with Peer(None) as peer:
        async with client.post("/offer", json=await offer_of(peer)) as response:
            answer = await response.json()
        await peer.accept(RTCSessionDescription(answer["sdp"], answer["type"]))
        await peer.until(lambda: peer.of_type("caption"), 150)
        caption = peer.of_type("caption")[-1]
        peer.send({"type": "freeze", "seq": caption["seq"]})
        await peer.until(lambda: peer.of_type("frozen"))
        path = peer.of_type("frozen")[0]["picture"]

        async with client.get(path) as response:
            assert response.status == 200
            assert response.content_type == "image/jpeg"
            assert response.headers["Cache-Control"] == "no-store"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            picture = cv2.imdecode(np.frombuffer(await response.read(), np.uint8), 1)
        frame = caption["frame"]
        assert picture is not None
        assert picture.shape == (frame["height"], frame["width"], 3)
        # As another site's page whose name was rebound to the loopback would ask.
        async with client.get(path, headers={"Host": "evil.example"}) as response:
            assert await error_of(response) == (403, "bad-host")
        async with client.get(path.replace(answer["stream"], "x" * 22)) as response:
            assert await error_of(response) == (404, "gone")
            assert response.headers["Cache-Control"] == "no-store"

        peer.send({"type": "release"})
        async with asyncio.timeout(60):
            while (response := await client.get(path)).status == 200:
                await asyncio.sleep(0.2)
        assert await error_of(response) == (404, "gone")
        assert "freeze" in (await response.json())["error"]["message"]
    await until_no_session(client)
    async with client.get(path) as response:
        assert await error_of(response) == (404, "gone")


@pytest.mark.parametrize("seq", ["", "x", "-1", "1.5", "9" * 17, "9" * 5000, "1/2"])
async def test_what_is_no_number_is_not_found(client: Client, seq: str) -> None:
    async with client.get(f"/streams/abc/pictures/{seq}") as response:
        assert (await error_of(response))[0] == 404


async def test_a_picture_cannot_be_posted(client: Client) -> None:
    async with client.post("/streams/abc/pictures/1") as response:
        assert await error_of(response) == (405, "method-not-allowed")
