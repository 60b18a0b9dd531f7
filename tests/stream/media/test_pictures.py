"""Pictures of feeds that media processes caption."""

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from tests.support.servers.in_process_server import in_process_server


async def test_the_history_gets_pictures_from_the_process_that_has_the_frame(
    tmp_path: Path,
) -> None:
    config = f"""
[stream]
interval_s = 0.25
media_processes = 2
[history]
path = "{tmp_path / "history.sqlite"}"
pictures = "changes"
[feeds.yard]
source = "demo"
[feeds.hall]
source = "demo"
"""
    found: dict[str, Any] = {}
    async with in_process_server(tmp_path, config) as server, ClientSession() as client:
        url = f"http://127.0.0.1:{server.port}"
        async with asyncio.timeout(30):
            while set(found) != {"yard", "hall"}:
                async with client.get(f"{url}/api/history/search") as response:
                    spans = (await response.json())["spans"]
                found = {span["feed"]: span for span in spans if span["picture"]}
                await asyncio.sleep(0.05)
        for span in found.values():
            async with client.get(f"{url}{span['picture']}") as response:
                assert response.status == 200 and (await response.read())[8:12] == b"WEBP"
