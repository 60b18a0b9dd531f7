"""Tools for feeds, their history and rules. Needs the package `mcp`."""

import asyncio
import time
from contextlib import aclosing
from typing import Annotated, Any

from mcp.server.mcpserver import Context, Image
from pydantic import Field

from web.mcp.client import ServerError, SightlineClient
from web.mcp.pictures import draw_picture
from web.mcp.reporting import reporting_errors
from web.mcp.results import FeedCaption, Feeds, Found, NextCaption, Summary
from web.mcp.rule_results import Firings, Rules

_NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,39}$"
_PROGRESS_S = 5.0
"""Clients that get progress do not give up on a tool that waits."""

FeedName = Annotated[
    str,
    Field(description="Name of a feed, as in list_feeds.", pattern=_NAME_PATTERN),
]
AnyFeed = Annotated[FeedName | None, Field(description="Only this feed; all if null.")]
Since = Annotated[
    str | None, Field(description="Earliest time, RFC 3339 such as 2026-01-31T09:00:00+01:00.")
]
Until = Annotated[str | None, Field(description="Latest time, likewise; now if null.")]
Limit = Annotated[int, Field(ge=1, le=100)]
OlderThan = Annotated[
    int | None,
    Field(ge=0, le=10**18 - 1, description="`before` of the last result, for older ones."),
]


class FeedTools:
    """Tools for feeds and their history."""

    def __init__(self, client: SightlineClient) -> None:
        self._client = client

    @reporting_errors
    async def list_feeds(self) -> Feeds:
        """List the cameras and shared sessions with their latest captions."""
        return Feeds.of(await self._client.get_json("api", "feeds"))

    @reporting_errors
    async def get_picture(self, feed: FeedName) -> Image:
        """Get the frame of a feed's latest caption as a picture, to look at it yourself."""
        jpeg = await self._client.get_bytes("api", "feeds", feed, "picture")
        return await asyncio.to_thread(draw_picture, jpeg)

    @reporting_errors
    async def wait_for_caption(
        self,
        feed: FeedName,
        context: Context[Any, Any],
        timeout_s: Annotated[float, Field(gt=0, le=600)] = 30,
        any_caption: Annotated[
            bool, Field(description="Whether a caption that says the same again counts, too.")
        ] = False,
        containing: Annotated[
            str | None,
            Field(
                description="Wait for a caption that contains this text.",
                min_length=1,
                max_length=60,
            ),
        ] = None,
    ) -> NextCaption:
        """Wait until a feed gets another caption than it has now, and return it."""
        started = time.monotonic()
        reporting = asyncio.create_task(_report_progress(context, timeout_s))
        try:
            async with asyncio.timeout(timeout_s):
                found = await self._next_caption(feed, any_caption, containing)
        except TimeoutError:
            found = None
        finally:
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)
        return NextCaption(caption=found, waited_s=round(time.monotonic() - started, 1))

    async def _next_caption(
        self, feed: str, any_caption: bool, containing: str | None
    ) -> FeedCaption:
        first: str | None = None
        async with aclosing(self._client.captions(feed)) as captions:
            async for values in captions:
                caption = FeedCaption.of(values)
                if first is None:
                    # The one that the feed has now.
                    first = caption.said
                elif (any_caption or caption.said != first) and _contains(caption, containing):
                    return caption
        raise ServerError(f"the feed {feed} has ended")

    @reporting_errors
    async def search_history(
        self,
        query: Annotated[
            str | None,
            Field(
                description='Words that captions mention: dog, "red car", bicy*, cat OR dog, '
                "-snow. All captions if null.",
                max_length=200,
            ),
        ] = None,
        feed: AnyFeed = None,
        since: Since = None,
        until: Until = None,
        limit: Limit = 20,
        before: OlderThan = None,
    ) -> Found:
        """Search past captions, the newest first: when did a camera see something?"""
        page = _page(feed, since, until, limit, before)
        return Found.of(await self._client.get_json("api", "history", "search", q=query, **page))

    @reporting_errors
    async def summarize_history(
        self, feed: AnyFeed = None, since: Since = None, until: Until = None
    ) -> Summary:
        """Summarize past captions: which objects, for how long. Without times, of the last hour."""
        path = ("api", "history", "summary")
        return Summary.of(await self._client.get_json(*path, feed=feed, from_=since, to=until))

    @reporting_errors
    async def get_past_picture(
        self, id: Annotated[int, Field(ge=0, le=10**18 - 1, description="Of search_history.")]
    ) -> Image:
        """Get the stored picture of a past caption, if the server stores pictures."""
        webp = await self._client.get_bytes("api", "history", str(id), "picture")
        return await asyncio.to_thread(draw_picture, webp)

    @reporting_errors
    async def list_rules(self) -> Rules:
        """List what the server looks for in captions, and which of it is there now."""
        return Rules.of(await self._client.get_json("api", "rules"))

    @reporting_errors
    async def list_firings(
        self,
        rule: Annotated[
            str | None, Field(description="Only this rule.", pattern=_NAME_PATTERN)
        ] = None,
        feed: AnyFeed = None,
        since: Since = None,
        until: Until = None,
        limit: Limit = 20,
        before: OlderThan = None,
    ) -> Firings:
        """List when rules fired, the newest first."""
        page = _page(feed, since, until, limit, before)
        return Firings.of(await self._client.get_json("api", "firings", rule=rule, **page))


def _page(
    feed: str | None, since: str | None, until: str | None, limit: int, before: int | None
) -> dict[str, str | int | None]:
    """Return the parameters of a page of a list, as the HTTP API names them."""
    return {"feed": feed, "from_": since, "to": until, "limit": limit, "before": before}


def _contains(caption: FeedCaption, text: str | None) -> bool:
    return text is None or text.lower() in caption.said.lower()


async def _report_progress(context: Context[Any, Any], timeout_s: float) -> None:
    started = time.monotonic()
    while True:
        await asyncio.sleep(_PROGRESS_S)
        await context.report_progress(time.monotonic() - started, timeout_s)
