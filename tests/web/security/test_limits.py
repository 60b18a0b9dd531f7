"""Limits of requests, body bytes, time and connections, and the addresses that they count."""

import asyncio
import json
import re
import statistics
import sys
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession, TCPConnector, web
from aiohttp.test_utils import TestClient, TestServer

from tests.support.servers.in_process_server import InProcessServer, in_process_server
from web.app import MIDDLEWARES, install_middlewares
from web.keys import SETTINGS
from web.security.client_address import ADDRESS, AddressTable
from web.settings.sections import LimitsSettings
from web.settings.server import ServerSettings

Client = TestClient[web.Request, web.Application]


@pytest_asyncio.fixture
async def login_server(tmp_path: Path) -> AsyncIterator[InProcessServer]:
    """A server with tokens and without rate limits to speak of."""
    limits = "[limits]\nbytes_per_s = 1e9\nall_bytes_per_s = 1e9\n"
    async with in_process_server(tmp_path, _TOKENS + limits) as server:
        yield server


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


_TOKENS = f'[access]\nadmin_token = "{"a" * 20}"\nviewer_token = "{"v" * 20}"\n'
_POST = "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
_LOGIN = json.dumps({"token": "v" * 20})


async def exchange(
    server: InProcessServer, request: str | bytes, *, ends: bool = True
) -> tuple[int, str]:
    """Send a request; return the status and the headers of its response.

    Args:
        server: The server.
        request: The request, or its beginning.
        ends: Whether the server must close the connection after the response.
    """
    reader, writer = await connect(server)
    try:
        writer.write(request.encode() if isinstance(request, str) else request)
        async with asyncio.timeout(20):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            if ends:
                assert "Connection: close" in head
                await reader.read()
        return int(head.split()[1]), head
    finally:
        writer.close()


async def test_a_rejected_body_is_not_awaited(login_server: InProcessServer) -> None:
    size = "Content-Length: 4000\r\n"
    requests = [
        (f"{_POST}Content-Length: 1000000000\r\n\r\n", 413),
        (f"{_POST}Content-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n", 413),
        (f"{_POST}Content-Encoding: gzip\r\n{size}\r\n", 415),
        (f"{_POST}Content-Encoding: Deflate\r\nTransfer-Encoding: chunked\r\n\r\n", 415),
        (f"{_POST}Content-Encoding: identity, br\r\n{size}\r\n", 415),
        (f"{_POST}Content-Encoding: unknown\r\n{size}\r\n", 415),
        (f"{_POST.replace('/login', '/offer')}{size}\r\n", 401),
        (f"{_POST.replace('/login', '/nowhere')}{size}\r\n", 404),
        (f"{_POST.replace('POST', 'PUT')}{size}\r\n", 405),
        (f"{_POST}Origin: http://example.org\r\n{size}\r\n", 403),
    ]
    answers = await asyncio.gather(*(exchange(login_server, text) for text, _ in requests))

    assert [status for status, _ in answers] == [status for _, status in requests]
    for status, head in answers:
        assert ("Accept-Encoding: identity" in head) == (status == 415)


async def test_a_compressed_body_is_not_decompressed(login_server: InProcessServer) -> None:
    compressor = zlib.compressobj()
    first, block = (
        compressor.compress(bytes(2**20)) + compressor.flush(zlib.Z_FULL_FLUSH) for _ in range(2)
    )
    bomb = first + 2000 * block
    head = f"{_POST}Content-Encoding: deflate\r\nContent-Length: {len(bomb)}\r\n\r\n"
    used_s = time.process_time()
    status, _ = await exchange(login_server, head.encode() + bomb)

    assert status == 415
    assert time.process_time() - used_s < 0.5, "2 GB take seconds"


async def test_a_chunked_body_is_read_up_to_its_maximum(login_server: InProcessServer) -> None:
    chunks = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    request = f"{_POST}Transfer-Encoding: chunked\r\n\r\n".encode() + 4 * chunks

    status, head = await exchange(login_server, request, ends=False)
    assert status == 413
    assert "Connection: close" in head


async def test_an_accepted_body_is_asked_for(login_server: InProcessServer) -> None:
    reader, writer = await connect(login_server)
    headers = f"{_POST}Content-Length: {len(_LOGIN)}\r\nContent-Encoding: identity\r\n"
    async with asyncio.timeout(20):
        writer.write(f"{headers}Expect: 100-continue\r\n\r\n".encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(_LOGIN.encode())
        assert b" 200 OK" in await reader.readline()
    writer.close()


async def test_a_rejected_request_with_a_complete_body_keeps_the_connection(
    login_server: InProcessServer,
) -> None:
    body = json.dumps({"token": "w" * 20})
    request = f"{_POST}Content-Length: {len(body)}\r\n\r\n{body}"
    status, head = await exchange(login_server, request, ends=False)

    assert status == 401
    assert "Connection: close" not in head


async def test_bytes_of_rejected_requests_count(tmp_path: Path) -> None:
    request = f"{_POST}Content-Length: 6000\r\n\r\n".encode() + b"x" * 6000
    async with in_process_server(tmp_path, f"{_TOKENS}[limits]\nbytes_per_s = 1000\n") as server:
        await exchange(server, request.replace(b"/login", b"/offer"), ends=False)
        declared = f"{_POST}Content-Length: 6000\r\n\r\n"
        status, head = await exchange(server, declared, ends=False)
        assert status == 429, "the declared length exceeds what is left"
        assert "Retry-After: " in head
        await exchange(server, request, ends=False)

        # The address is in debt now: it is rejected before it sends anything.
        reader, writer = await connect(server)
        assert (await reader.read()).startswith(b"HTTP/1.1 429 ")
        writer.close()


async def test_bytes_of_a_proxys_clients_count_separately(tmp_path: Path) -> None:
    limits = '[limits]\nbytes_per_s = 1000\nproxies = ["127.0.0.1"]\n'
    body = "x" * 6000
    async with in_process_server(tmp_path, _TOKENS + limits) as server:
        reader, writer = await connect(server)

        async def post(client: str) -> int:
            head = f"X-Forwarded-For: {client}\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(f"{_POST}{head}{body}".encode())
            async with asyncio.timeout(20):
                response = (await reader.readuntil(b"\r\n\r\n")).decode()
                await reader.readexactly(
                    int(response.lower().split("content-length: ")[1].split()[0])
                )
            return int(response.split()[1])

        # 400: the body is not JSON, but it was read.
        statuses = [await post("192.0.2.1"), await post("192.0.2.2"), await post("192.0.2.1")]
        assert statuses == [400, 400, 429]
        writer.close()
        reader, writer = await connect(server)
        assert await post("2001:db8::1") == 400
        assert await post("2001:db8::2") == 429, "the same /64 network"
        writer.close()


_FLOOD = """
import itertools, socket, sys, time, zlib
port, kind, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
compressor = zlib.compressobj(9)
first, block = (
    compressor.compress(bytes(2**20)) + compressor.flush(zlib.Z_FULL_FLUSH) for _ in range(2)
)
data, head = bytes(2**18), "X: y"
if kind == "bomb":
    data, head = first + block * 4000, "Content-Encoding: deflate"
end, closed = time.monotonic() + seconds, 0
while time.monotonic() < end or closed < 2:
    with socket.socket() as attacker:
        attacker.bind(("127.0.0.2", 0))
        attacker.settimeout(20)
        try:
            attacker.connect(("127.0.0.1", port))
            attacker.sendall(
                f"POST /login HTTP/1.1\\r\\nHost: localhost\\r\\n{head}\\r\\n"
                f"Content-Length: 100000000000\\r\\n\\r\\n".encode()
            )
            while True:
                attacker.sendall(data)
        except OSError:
            closed += 1
print(closed)
"""


@pytest.mark.parametrize("kind", ["plain", "bomb"])
async def test_a_flood_of_bodies_is_cut_off_and_nobody_else_notices(
    tmp_path: Path, kind: str
) -> None:
    waits_s, limits = [], "[limits]\nbytes_per_s = 100000\n"
    async with (
        in_process_server(tmp_path, limits) as server,
        # A new connection for each request, since those could be refused.
        ClientSession(
            f"http://127.0.0.1:{server.port}", connector=TCPConnector(force_close=True)
        ) as http,
    ):
        start = time.monotonic()
        arguments = ["-c", _FLOOD, str(server.port), kind, "2"]
        flood = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.PIPE
        )
        ended = asyncio.create_task(flood.communicate())
        while not ended.done():
            asked_at = time.monotonic()
            async with http.get("/healthz") as response:
                assert response.status == 200
            waits_s.append(time.monotonic() - asked_at)
            await asyncio.sleep(0.02)
        closed, _ = await ended
        elapsed_s = time.monotonic() - start
        async with http.get("/metrics") as response:
            metrics = await response.text()

    assert int(closed) >= 2
    received = re.search(r"^sightline_http_received_bytes_total (\S+)$", metrics, re.MULTILINE)
    assert received
    # A burst of ten seconds' worth, the rate, and what two reads at most take beyond that.
    assert float(received[1]) < 100_000 * (10 + elapsed_s) + 2**20
    assert statistics.median(waits_s) < 0.1


async def connect(server: InProcessServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


async def test_slow_headers_time_out(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, "[limits]\nheaders_s = 1\n") as server:
        silent, slow = await connect(server), await connect(server)
        slow[1].write(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        async with asyncio.timeout(30):
            while not slow[0].at_eof():
                slow[1].write(b"X: y\r\n")
                await asyncio.sleep(0.1)
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
        assert "Access-Control-Allow-Origin: *" in refused
        assert refused.endswith('too many connections; try again later"}}')
        writer.close()

        opened.pop()[1].close()
        await asyncio.sleep(0.1)
        reader, writer = await connect(server)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        for _, each in (*opened, (reader, writer)):
            each.close()
