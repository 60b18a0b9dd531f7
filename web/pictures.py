"""The pictures of the application: of firings of rules, for sinks, and for a cluster's servers."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from stream.history import Firing, HistoryBusy, HistoryError, KeptPicture
from stream.quota import QuotaExceeded
from web.keys import CLUSTER, HISTORY, PUBLICATIONS


def follow_pictures(app: web.Application) -> Callable[[], None]:
    """Store pictures of firings, and publish what is stored; return how to end that."""
    history, publications = app[HISTORY], app[PUBLICATIONS]

    def on_firing(firing: Firing) -> None:
        if firing.ended is None:
            history.keep_picture(firing.feed, firing.began)

    ends = [history.pictures.stored.subscribe(publications.pictures.publish)]
    if history.settings.pictures == "rules":
        ends.append(publications.rules.firings.subscribe(on_firing))

    def end() -> None:
        for each in ends:
            each()

    return end


def share_pictures(app: web.Application) -> Callable[[], None]:
    """Publish the pictures that other servers of the cluster store; return how to end that.

    They are read from the database that all share, by the server that sends to sinks.
    """
    cluster, history, pictures = app[CLUSTER], app[HISTORY], app[PUBLICATIONS].pictures
    reading = set[asyncio.Task[None]]()

    def on_stored(kept: KeptPicture) -> None:
        values = {"feed": kept.feed, "said": kept.said, "captured": kept.captured}
        notice = {"kind": "picture", "server": cluster.id, "span": kept.picture.span, **values}
        cluster.notify(notice)

    async def read(span: int, feed: str, said: str, captured: float) -> None:
        try:
            picture = await history.picture(span)
        except (HistoryError, HistoryBusy, QuotaExceeded):
            return
        if picture:
            pictures.publish(KeptPicture(picture, feed, said, captured))

    def on_notice(notice: dict[str, Any]) -> None:
        match notice:
            case {
                "kind": "picture",
                "server": str(server),
                "span": int(span),
                "feed": str(feed),
                "said": str(said),
                "captured": float(captured),
            } if server != cluster.id and cluster.sinks_token is not None:
                task = asyncio.create_task(read(span, feed, said, captured), name="pictures")
                reading.add(task)
                task.add_done_callback(reading.discard)

    ends = history.pictures.stored.subscribe(on_stored), cluster.notices.subscribe(on_notice)

    def end() -> None:
        for each in ends:
            each()
        for task in reading:
            task.cancel()

    return end
