"""A few hundred of what `make fuzz` tries by the hundred thousand, and what it notices."""

import asyncio
import logging
import random

import pytest

from tests.fuzz.__main__ import run
from tests.fuzz.asking import Asker
from tests.fuzz.faults import Fault, FaultLog, holdings, settled
from tests.fuzz.messages import spoilt_message
from tests.fuzz.requests import spoilt_request
from tests.fuzz.sdps import real_offers, spoilt_sdp


async def test_nothing_that_strangers_send_does_harm() -> None:
    found = await run(600, seed=7)

    assert not found.faults, "\n".join(found.faults)
    assert found.tried == {"offers": 300, "messages": 150, "requests": 150}
    assert all(found.outcomes["offers"].values()), "some are answered, some refused"
    assert found.outcomes["messages"]["pong"] >= 3
    assert "200" in found.outcomes["requests"]


def test_the_same_seed_makes_the_same_input() -> None:
    def made() -> list[object]:
        offers, routes = real_offers(), [("POST", "/offer"), ("GET", "/api/feeds/{name}")]
        return [
            (
                spoilt_sdp(random.Random(f"5/{number}"), offers),
                spoilt_message(random.Random(f"5/{number}")),
                spoilt_request(random.Random(f"5/{number}"), routes, offers),
            )
            for number in range(50)
        ]

    assert made() == made()
    assert len(set(map(str, made()))) > 45


def test_a_failure_in_the_log_is_noticed() -> None:
    log = FaultLog()
    logger = logging.getLogger("fuzz.example")
    logger.info("all is well")
    logger.error("something is not")
    logger.warning("Traceback (most recent call last): ...")
    logging.getLogger().removeHandler(log)

    assert len(log.take()) == 2
    assert log.take() == []


async def test_what_is_left_behind_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.faults._PATIENCE_S", 0.3)
    before = holdings()
    leaked = [asyncio.create_task(asyncio.sleep(60)) for _ in range(5)]
    try:
        assert "tasks" in await settled(before, {"kilobytes": 100_000, "tasks": 4})
    finally:
        for task in leaked:
            task.cancel()
    assert not await settled(before, {"kilobytes": 100_000})


async def test_a_server_that_hangs_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.asking._ANSWER_S", 0.2)
    gone = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    silent = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with silent:
        host, port = silent.sockets[0].getsockname()
        with pytest.raises(Fault, match="no answer"):
            await Asker(f"http://{host}:{port}").ask(b"GET / HTTP/1.1\r\n\r\n")
        await asyncio.wait_for(gone.wait(), 5)


async def test_an_answer_that_tells_of_a_failure_is_noticed() -> None:
    async def fail(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 Internal Server Error\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    broken = await asyncio.start_server(fail, "127.0.0.1", 0)
    async with broken:
        host, port = broken.sockets[0].getsockname()
        with pytest.raises(Fault, match="500"):
            await Asker(f"http://{host}:{port}").ask(b"GET / HTTP/1.1\r\n\r\n")
