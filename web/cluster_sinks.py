"""The webhook and MQTT in a cluster: one server at a time sends the captions of all."""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

from aiohttp import web

from web.keys import CLUSTER, MQTT, PUBLICATIONS, WEBHOOK

_RESTART_DELAY_S = 10.0

logger = logging.getLogger(__name__)


async def run_cluster_sinks(app: web.Application) -> None:
    """Run the sinks while this server has their lease, until cancelled."""
    cluster, changed = app[CLUSTER], asyncio.Event()
    unsubscribe = cluster.changes.subscribe(lambda _: changed.set())
    try:
        while True:
            changed.clear()
            token = cluster.sinks_token
            if token is not None:
                await _run_until(changed, app, token)
            else:
                await changed.wait()
    finally:
        unsubscribe()


async def _run_until(changed: asyncio.Event, app: web.Application, token: int) -> None:
    """Run the sinks until the lease has ended, or another one has begun."""
    from stream.cluster.sink_log import WebhookLog

    cluster, work = app[CLUSTER], dict[str, Coroutine[Any, Any, None]]()
    with contextlib.ExitStack() as stack:
        if webhook := app.get(WEBHOOK):
            log = WebhookLog(cluster.connection, webhook, token)
            stack.callback(cluster.notices.subscribe(lambda _: log.hurry()))
            work["webhook"] = log.run()
        if mqtt := app.get(MQTT):
            work["mqtt"] = mqtt.run(app[PUBLICATIONS])
        tasks = [asyncio.create_task(each, name=name) for name, each in work.items()]
        try:
            while cluster.sinks_token == token and not any(task.done() for task in tasks):
                waiting = asyncio.create_task(changed.wait())
                await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                changed.clear()
            for task in tasks:
                if task.done() and (problem := task.exception()):
                    about = "%s failed; it restarts in %g s"
                    logger.error(about, task.get_name(), _RESTART_DELAY_S, exc_info=problem)
                    await asyncio.sleep(_RESTART_DELAY_S)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
