"""Limits of requests, body bytes, time and connections, and the addresses that they count."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.support.servers.in_process_server import InProcessServer, in_process_server
from web.app import MIDDLEWARES, install_middlewares
from web.keys import SETTINGS
from web.security.client_address import ADDRESS, AddressTable
from web.settings.sections import LimitsSettings
from web.settings.server import ServerSettings

Client = TestClient[web.Request, web.Application]


async def _address(request: web.Request) -> web.Response:
    return web.Response(text=request[ADDRESS])


async def _count(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.read())))


@asynccontextmanager
async def serving(**limits: Any) -> AsyncIterator[Client]:
    settings = ServerSettings(limits=LimitsSettings(**limits))
    app = web.Application(middlewares=MIDDLEWARES, client_max_size=5000)
    app[SETTINGS] = settings
    install_middlewares(app, settings)
    app.add_routes([web.get("/", _address), web.post("/", _count)])
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_requests_beyond_the_rate_get_429_with_retry_after() -> None:
    async with serving(requests_per_s=1) as client:
        statuses = [(await client.get("/")).status for _ in range(12)]
        assert statuses == [200] * 10 + [429] * 2
        refused = await client.get("/")
        assert refused.headers["Retry-After"] == "1"
        assert (await refused.json())["error"]["code"] == "too-many-requests"


async def test_the_total_rate_is_limited() -> None:
    async with serving(all_requests_per_s=0.5) as client:
        statuses = [(await client.get("/")).status for _ in range(7)]
        assert statuses == [200] * 5 + [503] * 2


async def test_bodies_are_limited_in_size_and_rate() -> None:
    async with serving(body_bytes_per_s=1000) as client:
        assert (await client.post("/", data=b"x" * 6000)).status == 413
        statuses = [(await client.post("/", data=b"x" * 4000)).status for _ in range(3)]
        assert statuses == [200, 200, 429]


async def test_a_slow_body_times_out() -> None:
    async with serving(body_s=1) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx")
        start = time.monotonic()
        answer = await reader.read(12)
        assert answer == b"HTTP/1.1 408"
        assert time.monotonic() - start < 3
        writer.close()


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        ([], "9.9.9.9", "127.0.0.1"),
        (["127.0.0.1"], "9.9.9.9", "9.9.9.9"),
        (["127.0.0.0/8"], "6.6.6.6, 9.9.9.9", "9.9.9.9"),
        (["127.0.0.0/8", "10.0.0.0/8"], "9.9.9.9, 10.1.2.3", "9.9.9.9"),
        (["127.0.0.1"], "nonsense", "127.0.0.1"),
        (["127.0.0.1"], "", "127.0.0.1"),
    ],
)
async def test_only_trusted_proxies_set_the_address(
    proxies: list[str], forwarded: str, expected: str
) -> None:
    headers = {"X-Forwarded-For": forwarded}
    async with serving(proxies=proxies) as client, client.get("/", headers=headers) as response:
        assert await response.text() == expected


def test_the_table_of_addresses_does_not_grow() -> None:
    table: AddressTable[list[int]] = AddressTable(list, 3)
    for number in range(10):
        table[f"10.0.0.{number}"].append(number)
    assert len(table) == 3
    assert table["10.0.0.9"] == [9]
    assert table["10.0.0.1"] == []


def test_addresses_of_one_network_share_an_entry() -> None:
    table: AddressTable[list[int]] = AddressTable(list, 10)
    table["fd00:0:0:1::1"].append(1)
    table["10.0.0.1"].append(2)
    assert table["fd00:0:0:1:ffff::2"] == [1]
    assert table["fd00:0:0:2::1"] == []
    assert table["::ffff:10.0.0.1"] == [2]


async def connect(server: InProcessServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


async def test_slow_headers_time_out(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, "[limits]\nheaders_s = 1\n") as server:
        silent, slow = await connect(server), await connect(server)
        slow[1].write(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        start = time.monotonic()
        while time.monotonic() - start < 5 and not slow[0].at_eof():
            slow[1].write(b"X: y\r\n")
            await asyncio.sleep(0.1)
        assert time.monotonic() - start < 4
        assert await silent[0].read() == b""
        for _, writer in (silent, slow):
            writer.close()


async def test_connections_per_address_are_limited(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, "[limits]\nconnections = 3\n") as server:
        await asyncio.sleep(0.1)
        opened = [await connect(server) for _ in range(3)]
        reader, writer = await connect(server)
        refused = (await reader.read()).decode()
        assert refused.startswith("HTTP/1.1 429 ")
        assert "Retry-After: 5" in refused
        assert refused.endswith('too many connections; try again later"}}')
        writer.close()

        opened.pop()[1].close()
        await asyncio.sleep(0.1)
        reader, writer = await connect(server)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        for _, each in (*opened, (reader, writer)):
            each.close()
