"""Joining a cluster: what the application shares with the other servers, such as logins."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web

from stream.quota import Owner
from web.cluster.peers import PEERS, Peers
from web.cluster.sinks import run_cluster_sinks
from web.keys import CLUSTER, MEDIA, PUBLICATIONS, USAGE_LIMITS
from web.pictures import share_pictures
from web.rules import share_firings
from web.security import ACCESS, SHARED_LOGINS, TICKETS, SharedLogins, Tickets
from web.settings import ServerSettings, SettingsError


def install_cluster(app: web.Application, settings: ServerSettings) -> None:
    """Add the cluster to an application; it starts with the feeds.

    Raises:
        SettingsError: If psycopg is not installed.
    """
    url = settings.cluster.database_url
    assert url
    try:
        # Not before, since psycopg is an extra.
        from stream.cluster.cluster import Cluster
        from stream.cluster.connection import DatabaseUnavailable
        from stream.cluster.login_table import LoginTable
    except ImportError as error:
        raise SettingsError(
            "[cluster] needs psycopg; install it with: pip install 'sightline[cluster]'"
        ) from error

    tickets = app[TICKETS] = Tickets(lambda: cluster.identity.secret if cluster.identity else None)
    peers = app[PEERS] = Peers(tickets)
    cluster = app[CLUSTER] = Cluster(
        url,
        settings.cluster.url,
        app[PUBLICATIONS],
        app[MEDIA].feeds.reload,
        peers.read_picture,
        # Rules may be added while the server runs.
        has_sinks=True,
    )
    table = LoginTable(cluster.connection)
    app[SHARED_LOGINS] = SharedLogins(app[ACCESS].logins, table, DatabaseUnavailable)
    app.cleanup_ctx.append(_run_peers)


def _share_with_others(app: web.Application) -> Callable[[], None]:
    """Share logins, wrong tokens and requests to an endpoint; return how to end that."""
    cluster, access, shared = app[CLUSTER], app[ACCESS], app[SHARED_LOGINS]
    requests = app[USAGE_LIMITS].endpoint_requests

    def on_failure(network: str, cross_origin: bool) -> None:
        cluster.notify(
            {
                "kind": "wrong-token",
                "server": cluster.id,
                "network": network,
                "cross_origin": cross_origin,
            }
        )

    def on_use(owner: Owner, count: int) -> None:
        cluster.notify(
            {
                "kind": "endpoint-requests",
                "server": cluster.id,
                "network": owner.network,
                "share": owner.share,
                "count": count,
            }
        )

    def on_notice(notice: dict[str, Any]) -> None:
        match notice:
            case {"kind": "logins"}:
                shared.hurry()
            case {
                "kind": "wrong-token",
                "server": str(server),
                "network": str(network),
                "cross_origin": bool(cross_origin),
            } if server != cluster.id:
                access.count_failure(network, cross_origin)
            case {
                "kind": "endpoint-requests",
                "server": str(server),
                "network": str(network),
                "share": float(share),
                "count": int(count),
            } if server != cluster.id:
                requests.charge(Owner(network, is_admin=False, share=share), count)

    def on_reconnection(_: None) -> None:
        if cluster.identity:
            access.cookie_scope = cluster.identity.id
        shared.hurry()

    access.on_failure, requests.on_use = on_failure, on_use
    on_reconnection(None)
    unsubscribe = (
        cluster.notices.subscribe(on_notice),
        cluster.reconnections.subscribe(on_reconnection),
    )

    def end() -> None:
        for each in unsubscribe:
            each()

    return end


async def run_cluster(app: web.Application, settings: ServerSettings) -> AsyncIterator[None]:
    """Join the cluster, and leave it in the end."""
    cluster = app[CLUSTER]
    await cluster.start(settings.feeds)
    ends = _share_with_others(app), share_firings(app), share_pictures(app)
    tasks = {
        asyncio.create_task(app[SHARED_LOGINS].run(), name="cluster logins"),
        asyncio.create_task(run_cluster_sinks(app), name="cluster sinks"),
    }
    yield
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for end in ends:
        end()
    await cluster.close()


async def _run_peers(app: web.Application) -> AsyncIterator[None]:
    async with app[PEERS]:
        yield
