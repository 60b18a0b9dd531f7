"""Background services of the application: captioning, feeds, history and sinks.

Each is an aiohttp cleanup context: it starts with the application and stops in reverse order.
"""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from inference.endpoints import Endpoint, EndpointCaptioner, request_count
from inference.engine import CaptionService, Engine
from inference.pool import PoolCaptioner
from stream.context import StreamContext
from stream.history import History
from stream.image_captions import ImageCaptions
from stream.publishing import FeedPictures, Publications, RecentSpans
from stream.publishing.sinks import (
    AppriseSink,
    AppriseUnavailable,
    FiringPictures,
    HourlySummaries,
    MqttSink,
    WebhookSink,
)
from stream.restart import restart_on_failure
from stream.usage_limits import LocalLimits
from web.cluster import install_cluster, run_cluster
from web.keys import (
    APPRISE,
    CAPTIONS,
    CLUSTER,
    ENDPOINT,
    ENGINE,
    HISTORY,
    IMAGE_CAPTIONS,
    MEDIA,
    MQTT,
    POOL,
    PUBLICATIONS,
    RECENT,
    RULE_WATCHER,
    SETTINGS,
    STREAM_CONTEXT,
    USAGE_LIMITS,
    WEBHOOK,
)
from web.media_processes import create_media, run_media_processes
from web.pictures import follow_pictures
from web.routes.subscribers import SUBSCRIBERS, Subscribers
from web.rules import install_rules, sink_works, state_file
from web.settings import ServerSettings, SettingsError


def create_captioner(
    settings: ServerSettings,
    *,
    explains: bool = True,
    standby: bool = False,
    max_failures: int | None = None,
) -> Engine | EndpointCaptioner | PoolCaptioner:
    """Create the caption service that the settings choose: an engine, or a client.

    Args:
        settings: The server's settings.
        explains: As for `Engine`.
        standby: As for `Engine`.
        max_failures: As for all of them.

    Raises:
        CaptionerError: If the captioner is not on this machine.
    """
    if settings.uses_pool:
        engine = settings.engine
        return PoolCaptioner(
            engine.address,
            secret=engine.pool_secret,
            max_wait_s=engine.max_wait_s,
            max_failures=max_failures,
            direct=engine.direct,
            insecure=engine.insecure,
        )
    return settings.captioner_config.create(
        explains=explains, standby=standby, max_failures=max_failures
    )


def install_services(
    app: web.Application, settings: ServerSettings, captions: CaptionService | None
) -> None:
    """Add the services to an application; an engine of its own if `captions` is None."""
    if captions is None:
        captions = create_captioner(settings, standby=settings.keeps_standby)
        match captions:
            case Engine():
                app[ENGINE] = captions
            case EndpointCaptioner():
                app[ENDPOINT] = captions
            case PoolCaptioner():
                app[POOL] = captions
        app.cleanup_ctx.append(_run_captioner)
    app[CAPTIONS] = captions
    limits = app[USAGE_LIMITS] = LocalLimits(settings.stream.analyses)
    context = StreamContext.create(settings.stream, captions, settings.host, settings.ice, limits)
    if settings.endpoint:
        limit_viewer_requests(limits, settings.endpoint)
    publications = Publications()
    app[STREAM_CONTEXT], app[PUBLICATIONS] = context, publications
    media = app[MEDIA] = create_media(settings, context, publications)
    app[IMAGE_CAPTIONS] = ImageCaptions(context, lambda: media.accepting_level)
    app[RECENT] = RecentSpans(publications)
    app[SUBSCRIBERS] = Subscribers(settings.subscribers)
    if settings.cluster.database_url:
        install_cluster(app, settings)
    app.cleanup_ctx.append(_run_stream_context)
    app.cleanup_ctx.append(run_media_processes)
    if settings.history.path or settings.cluster.database_url:
        app[HISTORY] = History(settings.history, settings.cluster.database_url)
        app.cleanup_ctx.append(_run_history)
    install_rules(app, settings)
    if settings.apprise.all_urls:
        pictures = None
        if settings.apprise.pictures and HISTORY in app and settings.history.pictures != "off":
            pictures = FiringPictures(app[HISTORY])
        try:
            app[APPRISE] = AppriseSink(settings.apprise, pictures=pictures)
        except AppriseUnavailable as error:
            raise SettingsError(str(error)) from error
    if settings.webhook.url:
        app[WEBHOOK] = WebhookSink(settings.webhook)
    if settings.mqtt.host:
        summaries = HourlySummaries(app[HISTORY]) if HISTORY in app else None
        app[MQTT] = MqttSink(settings.mqtt, summaries=summaries)
    app.cleanup_ctx.append(_run_sinks)
    # Feeds start last, so that history and sinks get their first captions.
    app.cleanup_ctx.append(_run_feeds)
    app.on_shutdown.extend((_close_subscribers, _close_sessions))


def limit_viewer_requests(limits: LocalLimits, endpoint: Endpoint) -> None:
    """Limit the requests that viewers' explanations send to an endpoint, as it is configured."""
    limits.endpoint_requests.configure(
        endpoint.viewer_requests_per_hour, request_count(endpoint.regions)
    )


async def _run_captioner(app: web.Application) -> AsyncIterator[None]:
    captioner = app.get(ENGINE) or app.get(ENDPOINT) or app[POOL]
    captioner.start()
    yield
    await captioner.stop()


async def _run_stream_context(app: web.Application) -> AsyncIterator[None]:
    context = app[STREAM_CONTEXT]
    monitor = asyncio.create_task(context.load.run(), name="load")
    yield
    monitor.cancel()
    app[IMAGE_CAPTIONS].close()
    await context.close()


async def _run_history(app: web.Application) -> AsyncIterator[None]:
    """Store captions; raises `HistoryError` on startup if the database cannot be used."""
    history, cluster = app[HISTORY], app.get(CLUSTER)
    # In a cluster each server stores its own.
    captions = cluster.local_captions if cluster else app[PUBLICATIONS].captions
    if not cluster:
        await history.open()

    async def record() -> None:
        if cluster:
            # A server may start before the database does.
            await history.open_when_possible()
        await history.record(captions, FeedPictures(app[PUBLICATIONS]))

    end = follow_pictures(app)
    storing = asyncio.create_task(restart_on_failure("history", record))
    yield
    end()
    storing.cancel()
    await asyncio.wait({storing})
    await history.close()


async def _run_sinks(app: web.Application) -> AsyncIterator[None]:
    publications = app[PUBLICATIONS]
    tasks = []
    if CLUSTER in app:
        # They run with it.
        yield
        return
    works = sink_works(app)
    if webhook := app.get(WEBHOOK):
        works["webhook"] = lambda: webhook.run(publications.captions)
    # The last to start, so that sinks get the first firings.
    works["rules"] = lambda: app[RULE_WATCHER].run(state_file(app[SETTINGS]))
    for name, work in works.items():
        tasks.append(asyncio.create_task(restart_on_failure(name, work), name=name))
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _run_feeds(app: web.Application) -> AsyncIterator[None]:
    feeds = app[MEDIA].feeds
    if CLUSTER in app:
        async for _ in run_cluster(app, app[SETTINGS]):
            yield
    else:
        await feeds.reload(app[SETTINGS].feeds)
        yield
    await feeds.close()


async def _close_subscribers(app: web.Application) -> None:
    await app[SUBSCRIBERS].close()


async def _close_sessions(app: web.Application) -> None:
    await app[MEDIA].sessions.close()
