"""The application's part in a cluster of servers."""

from aiohttp import web

from stream.captioning import FrameNotFound
from stream.publishing import RemoteStream
from web.keys import CLUSTER, FEEDS, PUBLICATIONS
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
    except ImportError as error:
        raise SettingsError(
            "[cluster] needs psycopg; install it with: pip install 'sightline[cluster]'"
        ) from error
    app[CLUSTER] = Cluster(
        url,
        settings.cluster.url,
        app[PUBLICATIONS],
        app[FEEDS].reload,
        _read_picture,
        has_sinks=bool(settings.webhook.url or settings.mqtt.host),
    )


async def _read_picture(stream: RemoteStream) -> bytes:
    raise FrameNotFound("another server captions this feed")
