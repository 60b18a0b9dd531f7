"""What goes on behind the doors of captions: who reads, what is kept, and who is sent them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from stream.history import History
from stream.outlets.mqtt import Mqtt
from stream.outlets.webhook import Webhook
from stream.recent_spans import RecentSpans
from web.doors.readers import READERS, Readers
from web.keys import HISTORY, MQTT, PUBLICATIONS, RECENT, WEBHOOK
from web.settings import ServerSettings

_AGAIN_S = 10.0

logger = logging.getLogger(__name__)


def install(app: web.Application, settings: ServerSettings) -> None:
    """Give an application with publications what its doors need; before its feeds begin.

    Raises:
        MqttMissing: If MQTT is wanted and not installed.
    """
    app[READERS] = Readers(settings.doors)
    app[RECENT] = RecentSpans(app[PUBLICATIONS])
    app.on_shutdown.append(_end_readers)
    if settings.history.path:
        app[HISTORY] = History(settings.history)
        app.cleanup_ctx.append(_history)
    if settings.webhook.url:
        app[WEBHOOK] = Webhook(settings.webhook)
    if settings.mqtt.host:
        app[MQTT] = Mqtt(settings.mqtt)
    app.cleanup_ctx.append(_outlets)


async def _end_readers(app: web.Application) -> None:
    await app[READERS].close()


async def _history(app: web.Application) -> AsyncIterator[None]:
    """Keep captions; raises HistoryError at the start if that cannot be."""
    history = app[HISTORY]
    await history.open()
    captions = app[PUBLICATIONS].captions
    keeping = asyncio.create_task(_keep_going("history", lambda: history.keep(captions)))
    yield
    keeping.cancel()
    await asyncio.wait({keeping})
    await history.close()


async def _outlets(app: web.Application) -> AsyncIterator[None]:
    publications = app[PUBLICATIONS]
    tasks = set()
    if WEBHOOK in app:
        webhook = app[WEBHOOK]
        tasks.add(_keep_going("webhook", lambda: webhook.run(publications.captions)))
    if MQTT in app:
        mqtt = app[MQTT]
        tasks.add(_keep_going("mqtt", lambda: mqtt.run(publications)))
    running = [asyncio.create_task(task) for task in tasks]
    yield
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def _keep_going(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Begin again after what was not foreseen: it must not be the end for weeks."""
    while True:
        try:
            await work()
        except Exception:
            logger.exception("%s failed, and begins again in %g s", name, _AGAIN_S)
        await asyncio.sleep(_AGAIN_S)
