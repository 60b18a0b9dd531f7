"""A client of server-sent events."""

import asyncio
import json
from typing import Any

from aiohttp import ClientResponse

Event = dict[str, Any]


async def read_event(response: ClientResponse) -> Event:
    """Read the next event as a browser parses it; a comment has neither a name nor data."""
    event: Event = {}
    async with asyncio.timeout(10):
        while line := (await response.content.readline()).decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            event[name] = json.loads(value) if name == "data" else value
    return event


async def read_named_event(response: ClientResponse, name: str) -> Event:
    """Read the next event with a name, skipping the others."""
    while (event := await read_event(response)).get("event") != name:
        pass
    return event
