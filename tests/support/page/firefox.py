"""Firefox without a driver binary, over WebDriver BiDi (https://www.w3.org/TR/webdriver-bidi/)."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

FIREFOX = "/usr/bin/firefox-esr"

# A camera without hardware or questions, and no requests of its own. Nothing here affects ICE.
_PREFERENCES: dict[str, bool | int | str] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.gmp-manager.updateEnabled": False,
    "media.gmp-manager.url": "",
    "media.gmp-provider.enabled": False,
    "app.normandy.enabled": False,
    "app.shield.optoutstudies.enabled": False,
    "app.update.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.aboutwelcome.enabled": False,
    "browser.contentblocking.report.lockwise.enabled": False,
    "browser.discovery.enabled": False,
    "browser.newtabpage.activity-stream.feeds.topsites": False,
    "browser.newtabpage.activity-stream.feeds.section.topstories": False,
    "browser.newtabpage.enabled": False,
    "browser.ping-centre.telemetry": False,
    "browser.region.network.url": "",
    "browser.region.update.enabled": False,
    "browser.safebrowsing.blockedURIs.enabled": False,
    "browser.safebrowsing.downloads.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.safebrowsing.provider.google4.updateURL": "",
    "browser.safebrowsing.provider.mozilla.updateURL": "",
    "browser.search.serpEventTelemetryCategorization.enabled": False,
    "browser.search.update": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.startup.page": 0,
    "browser.topsites.contile.enabled": False,
    "browser.translations.enable": False,
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.push.connection.enabled": False,
    "extensions.blocklist.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.systemAddon.update.enabled": False,
    "extensions.update.enabled": False,
    "geo.provider.network.url": "",
    "messaging-system.rsexperimentloader.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "network.prefetch-next": False,
    "network.http.speculative-parallel-limit": 0,
    "network.trr.mode": 5,
    "security.remote_settings.crlite_filters.enabled": False,
    "security.remote_settings.intermediates.enabled": False,
    "security.OCSP.enabled": 0,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "signon.autofillForms": False,
    "toolkit.telemetry.enabled": False,
    "toolkit.telemetry.server": "data:,",
    "toolkit.telemetry.unified": False,
}

_LISTENING = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")
_START_S = 120
_REPLY_S = 60
_POLL_S = 0.1


class FirefoxError(RuntimeError):
    """A command failed, or a script threw an exception."""


class FirefoxPage:
    """One page of a Firefox in a process of its own; see `open_firefox`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._ids = socket, count(1)
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())
        self._context = ""
        self.problems: list[str] = []
        """Errors that pages have logged."""

    async def start(self) -> None:
        """Begin the session, and open the page."""
        await self._command("session.new", capabilities={})
        await self._command("session.subscribe", events=["log.entryAdded"])
        tree = await self._command("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]
        size = {"width": 1280, "height": 900}
        await self._command("browsingContext.setViewport", context=self._context, viewport=size)

    async def stop(self) -> None:
        """Close the browser."""
        try:
            await self._command("browser.close")
        finally:
            self._reading.cancel()

    async def goto(self, url: str) -> None:
        """Load a page, and wait until it is complete."""
        await self._command(
            "browsingContext.navigate", context=self._context, url=url, wait="complete"
        )

    async def evaluate(self, script: str) -> Any:
        """Return the value of an expression, by way of JSON; promises are awaited."""
        result = await self._command(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({script})))()",
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        if result["type"] == "exception":
            raise FirefoxError(result["exceptionDetails"]["text"])
        return json.loads(result["result"].get("value", "null"))

    async def until(self, script: str, seconds: float = 90) -> None:
        """Wait until an expression is truthy."""
        try:
            async with asyncio.timeout(seconds):
                while not await self.evaluate(f"Boolean({script})"):
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise AssertionError(f"{script} did not become true in {seconds} s") from None

    async def click(self, selector: str) -> None:
        """Click an element as a script does."""
        await self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    async def set_file(self, selector: str, path: Path) -> None:
        """Choose a file in a file input."""
        element = await self._locate(selector)
        await self._command(
            "input.setFiles", context=self._context, element=element, files=[str(path)]
        )

    async def hover(self, selector: str) -> None:
        """Move the mouse to the middle of an element, from a little to its left."""
        origin = {"type": "element", "element": await self._locate(selector)}
        moves = [{"type": "pointerMove", "x": x, "y": 0, "origin": origin} for x in (-3, 0)]
        mouse = {"type": "pointer", "id": "mouse", "actions": moves}
        await self._command("input.performActions", context=self._context, actions=[mouse])

    async def _locate(self, selector: str) -> dict[str, Any]:
        found = await self._command(
            "browsingContext.locateNodes",
            context=self._context,
            locator={"type": "css", "value": selector},
        )
        return {"sharedId": found["nodes"][0]["sharedId"]}

    async def _command(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        return await asyncio.wait_for(reply, _REPLY_S)

    async def _read(self) -> None:
        async for message in self._socket:
            content = json.loads(message.data)
            if content.get("method") == "log.entryAdded" and content["params"]["level"] == "error":
                self.problems.append(content["params"]["text"])
            reply = self._replies.pop(content.get("id"), None)
            if reply is None or reply.done():
                continue
            if content["type"] == "success":
                reply.set_result(content["result"])
            else:
                reply.set_exception(FirefoxError(f"{content['error']}: {content['message']}"))


@asynccontextmanager
async def open_firefox(profile: Path) -> AsyncIterator[FirefoxPage]:
    """Start Firefox with a page; its profile is kept in an empty folder."""
    _write_preferences(profile)
    process = await asyncio.create_subprocess_exec(
        FIREFOX,
        "--headless",
        "--no-remote",
        "--remote-debugging-port=0",
        "--profile",
        str(profile),
        # Without it, Firefox ignores the preference for the server of its remote settings.
        env={**os.environ, "MOZ_REMOTE_SETTINGS_DEVTOOLS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        async with aiohttp.ClientSession() as client:
            url = await asyncio.wait_for(_bidi_url(process), _START_S)
            draining = asyncio.create_task(_drain(process))
            async with client.ws_connect(f"{url}/session", max_msg_size=0) as socket:
                page = FirefoxPage(socket)
                try:
                    await page.start()
                    yield page
                finally:
                    await page.stop()
            async with asyncio.timeout(30):
                await process.wait()
            await draining
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _write_preferences(profile: Path) -> None:
    """Write the preferences into the folder of a profile."""
    lines = [
        f"user_pref({json.dumps(key)}, {json.dumps(value)});" for key, value in _PREFERENCES.items()
    ]
    (profile / "user.js").write_text("\n".join(lines))


async def _bidi_url(process: asyncio.subprocess.Process) -> str:
    assert process.stderr
    while line := await process.stderr.readline():
        if found := _LISTENING.search(line):
            return found[1].decode()
    raise FirefoxError("Firefox ended before it was ready")


async def _drain(process: asyncio.subprocess.Process) -> None:
    """Read the rest of what it prints, so that it is never held up."""
    assert process.stderr
    while await process.stderr.readline():
        pass
