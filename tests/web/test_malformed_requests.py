"""Malformed requests and the Expect header, over a real connection."""

import asyncio
import logging

import pytest
from aiohttp.test_utils import TestClient


async def send(client: TestClient, request: bytes) -> bytes:  # type: ignore[type-arg]
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(request)
    async with asyncio.timeout(5):
        response = await reader.read(4096)
    writer.close()
    await writer.wait_closed()
    return response


async def test_a_client_that_disconnects_in_its_body_is_no_error(
    client: TestClient,  # type: ignore[type-arg]
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        _, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"POST /offer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()
        async with asyncio.timeout(20):
            while "POST /offer 499" not in caplog.text:
                await asyncio.sleep(0.01)

    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /offer HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\noops\r\n",
    ],
)
async def test_a_malformed_request_gets_400_and_logs_no_traceback(
    client: TestClient,  # type: ignore[type-arg]
    caplog: pytest.LogCaptureFixture,
    request_: bytes,
) -> None:
    with caplog.at_level(logging.INFO):
        assert b" 400 " in await send(client, request_)
        await asyncio.sleep(0.05)

    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


@pytest.mark.parametrize("target", ["/static/" + "a" * 300, f"/static/js/{'%C3%A9' * 200}/x"])
async def test_an_asset_with_an_overlong_name_does_not_exist(
    client: TestClient,  # type: ignore[type-arg]
    caplog: pytest.LogCaptureFixture,
    target: str,
) -> None:
    async with client.get(target) as response:
        assert response.status == 404
        assert (await response.json())["error"]["code"] == "not-found"
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("expected", [b"\xed\xa0\x80", b"200-ok"])
async def test_an_unknown_expectation_gets_417(
    client: TestClient,  # type: ignore[type-arg]
    caplog: pytest.LogCaptureFixture,
    expected: bytes,
) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nExpect: "

    assert b" 417 " in await send(client, head + expected + b"\r\n\r\n")
    assert b" 200 " in await send(client, head.replace(b"Expect: ", b"\r\n"))
    assert "Traceback" not in caplog.text


async def test_100_continue_is_sent(client: TestClient) -> None:  # type: ignore[type-arg]
    head = b"POST /offer HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\n"

    assert (await send(client, head + b"Content-Length: 2\r\n\r\n")).startswith(
        b"HTTP/1.1 100 Continue"
    )
