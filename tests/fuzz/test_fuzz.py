"""A short fuzz campaign (`make fuzz` submits 100,000 inputs), and tests of the fault detection."""

import asyncio
import json
import logging
import random
from typing import Any

import pytest

from stream.data_channel.messages import parse
from tests.fuzz.__main__ import run
from tests.fuzz.faults import Fault, FaultLog, count_resources, find_leaks
from tests.fuzz.messages import VALID_MESSAGES, mutated_message
from tests.fuzz.requests import mutated_request
from tests.fuzz.sdps import mutated_sdp, recorded_offers
from tests.fuzz.targets import HttpTarget


async def test_a_short_campaign_finds_no_faults() -> None:
    result = await run(600, seed=7)

    assert not result.faults, "\n".join(result.faults)
    assert result.submitted == {"offers": 300, "messages": 150, "requests": 150}
    assert all(result.outcomes["offers"].values()), "some are answered, some refused"
    assert result.outcomes["messages"]["pong"] >= 3
    assert "200" in result.outcomes["requests"]


@pytest.mark.parametrize("message", VALID_MESSAGES, ids=lambda message: message["type"])
def test_the_messages_to_mutate_are_valid(message: dict[str, Any]) -> None:
    assert parse(json.dumps(message)) == message


def test_the_same_seed_generates_the_same_input() -> None:
    def generate() -> list[object]:
        offers, routes = recorded_offers(), [("POST", "/offer"), ("GET", "/api/feeds/{name}")]
        return [
            (
                mutated_sdp(random.Random(f"5/{number}"), offers),
                mutated_message(random.Random(f"5/{number}")),
                mutated_request(random.Random(f"5/{number}"), routes, offers),
            )
            for number in range(50)
        ]

    assert generate() == generate()
    assert len(set(map(str, generate()))) > 45


def test_an_error_in_the_log_is_detected() -> None:
    log = FaultLog()
    logger = logging.getLogger("fuzz.example")
    logger.info("a request was answered")
    logger.error("a task failed")
    logger.warning("Traceback (most recent call last): ...")
    logging.getLogger().removeHandler(log)

    assert len(log.take()) == 2
    assert log.take() == []


async def test_a_leak_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.faults._RELEASE_TIMEOUT_S", 0.3)
    before = count_resources()
    leaked = [asyncio.create_task(asyncio.sleep(60)) for _ in range(5)]
    try:
        assert "tasks" in await find_leaks(before, {"kilobytes": 100_000, "tasks": 4})
    finally:
        for task in leaked:
            task.cancel()
    assert not await find_leaks(before, {"kilobytes": 100_000})


async def test_a_server_that_hangs_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.targets._RESPONSE_TIMEOUT_S", 0.2)
    disconnected = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        disconnected.set()

    silent = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with silent:
        host, port = silent.sockets[0].getsockname()
        with pytest.raises(Fault, match="no response"):
            await HttpTarget(f"http://{host}:{port}").submit(b"GET / HTTP/1.1\r\n\r\n")
        await asyncio.wait_for(disconnected.wait(), 5)


async def test_a_server_error_is_detected() -> None:
    async def fail(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 Internal Server Error\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    broken = await asyncio.start_server(fail, "127.0.0.1", 0)
    async with broken:
        host, port = broken.sockets[0].getsockname()
        with pytest.raises(Fault, match="500"):
            await HttpTarget(f"http://{host}:{port}").submit(b"GET / HTTP/1.1\r\n\r\n")
