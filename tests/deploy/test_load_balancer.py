"""The load balancer's configuration, by a real nginx in front of two servers of a cluster."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest_asyncio
from aiohttp import ClientSession, TCPConnector
from aiohttp.test_utils import unused_port
from aiortc import RTCSessionDescription

from tests.deploy.manifests import DEPLOY
from tests.support.peer import Peer
from tests.support.servers.cluster_apps import ClusterServer, ClusterServers, eventually
from tests.support.servers.nginx_proxy import running_nginx
from web.security import obtain_certificate
from web.settings import HttpsSettings

ADMIN = "admin-token-of-tests"
BEARER = {"Authorization": f"Bearer {ADMIN}"}
SDP = {"Content-Type": "application/sdp"}


def configuration(folder: Path, port: int, servers: dict[int, ClusterServer]) -> str:
    """Return the file of `.deploy` for other ports and folders."""
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    paths = [f"{name}_temp_path {folder}/{name};" for name in ("proxy", "fastcgi", "uwsgi", "scgi")]
    replacements = {
        "events {": f"daemon off; pid {folder}/nginx.pid; error_log stderr;\nevents {{",
        "http {": f"http {{ client_body_temp_path {folder}/body; {' '.join(paths)}",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "listen [::]:443 ssl;": "",
        "/run/secrets/tls.crt": f"{folder}/https.pem",
        "/run/secrets/tls.key": f"{folder}/https.pem",
        **{
            f"127.0.0.1:{number}": server.url.removeprefix("http://")
            for number, server in servers.items()
        },
    }
    for old, new in replacements.items():
        assert old in text
        text = text.replace(old, new)
    return text


class Balanced:
    """Two servers behind the load balancer."""

    def __init__(self, origin: str, client: ClientSession, a: ClusterServer, b: ClusterServer):
        self.origin, self.client, self.a, self.b = origin, client, a, b


@pytest_asyncio.fixture
async def balanced(database_url: str, tmp_path: Path) -> AsyncIterator[Balanced]:
    port = unused_port()
    origin = f"https://127.0.0.1:{port}"
    obtain_certificate(HttpsSettings(on=True, folder=tmp_path), {"127.0.0.1"})
    settings: dict[str, Any] = {
        "access": {"admin_token": ADMIN},
        "limits": {"proxies": ["127.0.0.1"]},
    }

    async with ClusterServers(database_url, **settings) as servers:

        async def start(name: str) -> ClusterServer:
            url = f"{origin}/servers/{name}"
            return await servers.start(cluster={"database": database_url, "url": url})

        a = await start("a")
        await eventually(lambda: a.own)
        b = await start("b")
        await eventually(lambda: b.captions)
        config = configuration(tmp_path, port, {4201: a, 4202: b})
        with running_nginx(tmp_path, config):
            async with ClientSession(connector=TCPConnector(ssl=False)) as client:
                yield Balanced(origin, client, a, b)


async def test_a_viewer_is_sent_to_the_server_of_the_feed(balanced: Balanced) -> None:
    origin, client = balanced.origin, balanced.client
    async with Peer(None, channel=False) as peer:
        sdp = (await peer.offer()).sdp

        # Half of the requests reach the server that captions the feed.
        async def ask() -> str:
            async with client.post(
                f"{origin}/whep/yard", data=sdp, headers={**BEARER, **SDP}, allow_redirects=False
            ) as response:
                assert response.status in (201, 307)
                return response.headers["Location"] if response.status == 307 else ""

        locations = [await ask() for _ in range(4)]
        (location,) = set(locations) - {""}
        assert "" in locations
        assert location.startswith(f"{origin}/servers/a/whep/yard?ticket=")
        # Without the token, which clients do not send to another server.
        async with client.post(location, data=sdp, headers=SDP) as response:
            assert response.status == 201, await response.text()
            session = urljoin(location, response.headers["Location"])
            await peer.accept(RTCSessionDescription(await response.text(), "answer"))
        assert session.startswith(f"{origin}/servers/a/whep/yard/")
        await peer.until(lambda: len(peer.frames) > 2)
        async with client.delete(session) as response:
            assert response.status == 200


async def test_captions_pass_one_by_one_and_a_dead_server_is_left_out(balanced: Balanced) -> None:
    origin, client = balanced.origin, balanced.client
    async with client.get(f"{origin}/api/feeds/yard/events", headers=BEARER) as events:
        assert events.status == 200
        async with asyncio.timeout(5):
            for _ in range(2):
                await events.content.readuntil(b"\n\n")

    async def status(path: str) -> int:
        async with client.get(f"{origin}{path}", headers=BEARER) as response:
            return response.status

    # Each server has a path of its own, too.
    assert [await status(f"/servers/{name}/api/feeds") for name in "ab"] == [200, 200]
    await balanced.b.client.server.close()
    assert [await status("/api/feeds") for _ in range(6)] == [200] * 6
    assert [await status(f"/servers/{name}/api/feeds") for name in "ab"] == [200, 502]
