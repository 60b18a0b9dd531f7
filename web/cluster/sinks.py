"""The webhook and MQTT in a cluster: one server at a time sends the captions of all."""

import asyncio
import contextlib
from functools import partial

from aiohttp import web

from stream.restart import restart_on_failure
from web.keys import CLUSTER, RULE_WATCHER, WEBHOOK
from web.rules import ClusterStates, Work, sink_works


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

    cluster, work = app[CLUSTER], dict[str, Work]()
    with contextlib.ExitStack() as stack:
        if webhook := app.get(WEBHOOK):
            log = WebhookLog(cluster.connection, webhook, token)
            stack.callback(cluster.notices.subscribe(lambda _: log.hurry()))
            work["webhook"] = log.run
        work |= sink_works(app)
        # The last to start, so that sinks get the first firings.
        states = ClusterStates(cluster.connection, token)
        work["rules"] = partial(app[RULE_WATCHER].run, states)
        tasks = [
            asyncio.create_task(restart_on_failure(name, each), name=name)
            for name, each in work.items()
        ]
        try:
            while cluster.sinks_token == token:
                await changed.wait()
                changed.clear()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
