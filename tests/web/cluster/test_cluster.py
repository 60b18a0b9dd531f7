"""Logins, viewers and pictures in a cluster of two servers."""

import asyncio
import json
import re
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from aiohttp import ClientResponse, ClientSession
from aiortc import RTCSessionDescription

from stream.quota import Owner, ShareExceeded
from tests.support.peer import Peer
from tests.support.postgres import PostgresServer
from tests.support.servers.cluster_apps import (
    Client,
    ClusterServer,
    ClusterServers,
    eventually,
)
from tests.web.routes.test_images import DOT, with_maps
from web.cluster import PEERS
from web.keys import USAGE_LIMITS
from web.security.access import Role

ADMIN, VIEWER = "admin-token-0123456789", "viewer-token-0123456789"
ACCESS = {"admin_token": ADMIN, "viewer_token": VIEWER}
SDP = {"Content-Type": "application/sdp"}
BEARER = {"Authorization": f"Bearer {VIEWER}"}
JPEG = b"\xff\xd8"


async def log_in(client: Client, token: str = VIEWER) -> dict[str, str]:
    """Log in, and return the header with the cookie, which the load balancer would keep."""
    response = await client.post("/login", json={"token": token})
    assert response.status == 200
    cookies: SimpleCookie = SimpleCookie(response.headers["Set-Cookie"])
    return {"Cookie": "; ".join(f"{name}={each.value}" for name, each in cookies.items())}


async def role(server: ClusterServer, headers: dict[str, str]) -> Any:
    server.client.session.cookie_jar.clear()
    return (await (await server.client.get("/api/me", headers=headers)).json())["role"]


async def holder_and_other(servers: ClusterServers) -> tuple[ClusterServer, ClusterServer]:
    """Start two servers; return the one that captions the feed `yard`, and the other."""
    holder = await servers.start()
    await eventually(lambda: holder.own)
    other = await servers.start()
    await eventually(lambda: other.captions)
    return holder, other


async def test_a_login_is_valid_on_all_servers(database_url: str) -> None:
    async with ClusterServers(database_url, access=ACCESS) as servers:
        one, two = await servers.start(), await servers.start()
        cookie = await log_in(one.client)

        assert await role(two, cookie) == "viewer"
        three = await servers.start()
        assert await role(three, cookie) == "viewer"
        await servers.stop(one)
        assert await role(two, cookie) == "viewer"
        await two.client.post("/logout", headers=cookie)
        async with asyncio.timeout(5):
            while await role(three, cookie):
                await asyncio.sleep(0.05)


async def test_nobody_is_logged_out_while_the_database_is_away(
    postgres: PostgresServer, database_url: str
) -> None:
    async with ClusterServers(database_url, access=ACCESS) as servers:
        one, two = await servers.start(), await servers.start()
        cookie = await log_in(one.client)
        assert await role(two, cookie) == "viewer"
        postgres.kill()
        try:
            assert await role(one, cookie) == await role(two, cookie) == "viewer"
            meanwhile = await log_in(two.client, ADMIN)
            assert await role(two, meanwhile) == "admin"
            assert (await one.client.get("/readyz")).status == 200
        finally:
            postgres.start()
        await eventually(lambda: one.cluster.is_connected and two.cluster.is_connected)

        assert await role(one, cookie) == "viewer"
        async with asyncio.timeout(5):
            while await role(one, meanwhile) != "admin":
                await asyncio.sleep(0.1)


async def test_wrong_tokens_count_on_all_servers(database_url: str) -> None:
    async with ClusterServers(database_url, access=ACCESS) as servers:
        one, two = await servers.start(), await servers.start()
        for number in range(10):
            await (one, two)[number % 2].client.post("/login", json={"token": "wrong"})

        for server in (one, two):
            statuses: list[int] = []
            # Fewer than it takes at a server on its own, which has received five.
            while 429 not in statuses and len(statuses) < 4:
                response = await server.client.post("/login", json={"token": "wrong"})
                statuses.append(response.status)
                await asyncio.sleep(0.5)
            assert statuses[-1] == 429


async def test_viewers_requests_to_an_endpoint_count_on_all_servers(database_url: str) -> None:
    async with ClusterServers(database_url) as servers:
        one, two = await servers.start(), await servers.start()
        limits = [each.client.app[USAGE_LIMITS] for each in (one, two) if each.client.app]
        for each in limits:
            each.endpoint_requests.configure(100, 10)
        viewer = Owner("192.0.2.1", is_admin=False, share=0.5)
        await limits[0].take_requests(viewer, 50)
        refusals = 0
        # Fewer than the other server would allow on its own.
        for _ in range(4):
            await asyncio.sleep(0.5)
            try:
                await limits[1].take_requests(viewer, 10)
            except ShareExceeded:
                refusals += 1

        assert refusals >= 3
        await limits[1].take_requests(Owner("192.0.2.9", is_admin=False, share=0.5), 10)


async def post_offer(client: Client, path: str, sdp: str, **options: Any) -> ClientResponse:
    client.session.cookie_jar.clear()
    return await client.post(path, data=sdp, headers={**SDP, **BEARER}, **options)


@pytest.mark.parametrize("access", [ACCESS, {}])
async def test_a_player_is_sent_to_the_server_that_captions_the_feed(
    database_url: str, access: dict[str, str]
) -> None:
    async with ClusterServers(database_url, access=access) as servers:
        holder, other = await holder_and_other(servers)
        async with Peer(None, channel=False) as peer:
            sdp = (await peer.offer()).sdp
            redirect = await post_offer(
                other.client, "/whep/yard?caption=off", sdp, allow_redirects=False
            )
            location = redirect.headers["Location"]
            assert redirect.status == 307
            assert location.startswith(f"{holder.url}/whep/yard?caption=off&ticket=")
            # Without the token, which clients do not send to another server.
            async with ClientSession() as http:
                answer = await http.post(location, data=sdp, headers=SDP)
                assert answer.status == 201, await answer.text()
                await peer.accept(RTCSessionDescription(await answer.text(), "answer"))
                await peer.until(lambda: len(peer.frames) > 2)
                session = urljoin(location, answer.headers["Location"])
                # The load balancer may send what follows to any server.
                path = urlsplit(session).path
                headers = {"If-Match": "*", "Content-Type": "application/trickle-ice-sdpfrag"}
                patched = await other.client.patch(path, data="", headers={**headers, **BEARER})
                assert patched.status in (204, 400)
                ended = await http.delete(session)
                assert ended.status == 200


async def test_a_page_of_another_server_may_post_an_offer_with_a_ticket_only(
    database_url: str,
) -> None:
    async with ClusterServers(database_url, access=ACCESS) as servers:
        holder, other = await holder_and_other(servers)
        cookie = await log_in(other.client)
        async with Peer(None) as peer:
            body = {"sdp": (await peer.offer()).sdp, "type": "offer", "source": "feed"}
            body["feed"] = "yard"
            redirect = await other.client.post(
                "/offer", json=body, headers=cookie, allow_redirects=False
            )
            location = redirect.headers["Location"]
            origin = {"Origin": "https://captions.example", "Sec-Fetch-Site": "cross-site"}
            async with ClientSession() as http:
                preflight = await http.options(
                    location, headers={**origin, "Access-Control-Request-Method": "POST"}
                )
                assert preflight.status == 204
                assert preflight.headers["Access-Control-Allow-Origin"] == "*"
                answer = await http.post(location, json=body, headers=origin)
                assert answer.status == 200, await answer.text()
                assert answer.headers["Access-Control-Allow-Origin"] == "*"
                refused = await http.post(f"{holder.url}/offer", json=body, headers=origin)
                assert refused.status == 403
                forged = await http.post(f"{location}x", json=body, headers=origin)
                assert forged.status == 401
                stream = (await answer.json())["stream"]
            described = (await answer.json())["sdp"]
            await peer.accept(RTCSessionDescription(described, "answer"))
            await peer.until(lambda: peer.received("caption"))
            seq = peer.received("caption")[-1]["seq"]
            # The page asks its own server for the frame, which finds it at the other.
            frame = await other.client.get(f"/streams/{stream}/pictures/{seq}", headers=cookie)
            assert frame.status == 200
            assert (await frame.read())[:2] == JPEG
            gone = await other.client.get("/streams/none/pictures/1", headers=cookie)
            assert gone.status == 404


async def test_a_picture_is_fetched_from_the_server_that_captions_the_feed(
    database_url: str,
) -> None:
    async with ClusterServers(database_url, access=ACCESS) as servers:
        holder, other = await holder_and_other(servers)
        path = "/api/feeds/yard/picture"
        picture = await other.client.get(path, headers=BEARER)

        assert picture.status == 200
        assert (await picture.read())[:2] == JPEG
        ticket = other.client.app[PEERS].url(holder.url, Role.VIEWER, path, {})
        async with ClientSession() as http:
            assert (await http.get(ticket)).status == 200
            # At a server that does not have the feed, it does not ask on.
            elsewhere = ticket.replace(holder.url, other.url)
            assert (await http.get(elsewhere)).status == 404


async def test_maps_of_a_feed_and_captions_of_images_come_from_any_server(
    database_url: str,
) -> None:
    async with ClusterServers(database_url) as servers:
        holder, other = await holder_and_other(servers)
        holder.service.caption = with_maps("A cat sleeps")
        lines = await other.client.get("/api/feeds/yard/captions.jsonl?maps=true")
        async with asyncio.timeout(15):
            while (caption := json.loads(await lines.content.readline()))["text"] != "A cat sleeps":
                pass
        lines.close()
        for server in (holder, other):
            explained = await server.client.post("/api/explain?index=1", data=DOT)
            assert (await explained.json())["explanation"]["map"]["shape"] == [9, 9]

    assert holder.service.caption.maps
    assert caption["maps"] == holder.service.caption.maps.to_json()


async def test_a_server_that_has_just_started_knows_where_the_feeds_are(
    database_url: str,
) -> None:
    async with ClusterServers(database_url, access=ACCESS) as servers:
        holder = await servers.start()
        await eventually(lambda: holder.own)
        other = await servers.start()
        picture = await other.client.get("/api/feeds/yard/picture", headers=BEARER)

        assert picture.status == 200


async def test_a_redirected_viewer_whose_feed_is_moving_has_to_wait(database_url: str) -> None:
    async with ClusterServers(database_url) as servers:
        _, other = await holder_and_other(servers)
        async with Peer(None, channel=False) as peer:
            sdp = (await peer.offer()).sdp
            redirect = await post_offer(other.client, "/whep/yard", sdp, allow_redirects=False)
            query = urlsplit(redirect.headers["Location"]).query
            again = await post_offer(other.client, f"/whep/yard?{query}", sdp)

            assert again.status == 503
            assert again.headers["Retry-After"] == "1"
            assert (await again.json())["error"]["code"] == "feed-moving"


async def test_the_page_may_connect_to_the_clusters_servers(database_url: str) -> None:
    async with ClusterServers(database_url) as servers:
        one, two = await holder_and_other(servers)
        await eventually(lambda: one.cluster.urls)
        policy = (await one.client.get("/")).headers["Content-Security-Policy"]

        assert f"connect-src 'self' {' '.join(sorted([one.url, two.url]))};" in policy


async def test_metrics_state_leases_and_the_log(database_url: str) -> None:
    async with ClusterServers(database_url) as servers:
        holder, other = await holder_and_other(servers)
        metrics = [await (await each.client.get("/metrics")).text() for each in (holder, other)]

        assert all("sightline_cluster_database_up 1.0" in each for each in metrics)
        assert "sightline_cluster_leases 1.0" in metrics[0]
        assert "sightline_cluster_leases 0.0" in metrics[1]
        assert 'sightline_cluster_captions_sent_total{outcome="refused"} 0.0' in metrics[0]
        (received,) = re.findall(
            r"^sightline_cluster_captions_received_total (\S+)", metrics[1], re.M
        )
        assert float(received) > 0
        (lag,) = re.findall(r"^sightline_cluster_lag_seconds (\S+)", metrics[1], re.M)
        assert 0 < float(lag) < 1


async def test_a_server_may_start_before_the_database(
    postgres: PostgresServer, database_url: str
) -> None:
    async with ClusterServers(database_url) as servers:
        postgres.kill()
        try:
            server = await servers.start()
            assert (await server.client.get("/healthz")).status == 200
            listed = await (await server.client.get("/api/feeds")).json()
            assert [feed["signal"]["state"] for feed in listed["feeds"]] == ["lost"]
            search = await server.client.get("/api/history/search")
            assert search.status == 503
        finally:
            postgres.start()
        await eventually(lambda: server.own)
        async with asyncio.timeout(10):
            while (await server.client.get("/api/history/search")).status != 200:
                await asyncio.sleep(0.1)
