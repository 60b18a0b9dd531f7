"""Application keys: the objects that request handlers share, stored in the aiohttp application."""

from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry

from inference.endpoints import EndpointCaptioner
from inference.engine import CaptionService, Engine
from inference.pool import PoolCaptioner
from stream.context import StreamContext
from stream.history import History
from stream.image_captions import ImageCaptions
from stream.media import MediaService
from stream.publishing import Publications, RecentSpans
from stream.publishing.sinks import AppriseSink, MqttSink, WebhookSink
from stream.rules import RuleBook, RuleWatcher
from stream.usage_limits import LocalLimits
from web.security import Connections
from web.settings import ServerSettings

if TYPE_CHECKING:
    from stream.cluster.cluster import Cluster

SETTINGS = web.AppKey("settings", ServerSettings)
METRICS_REGISTRY = web.AppKey("metrics registry", CollectorRegistry)
CAPTIONS = web.AppKey("captions", CaptionService)
"""The captioning service: the engine, unless a test passes its own."""
ENGINE = web.AppKey("engine", Engine)
"""The server's own engine; absent if a caption service was passed in, or an endpoint captions."""
ENDPOINT = web.AppKey("endpoint", EndpointCaptioner)
"""The endpoint that captions; absent unless configured."""
POOL = web.AppKey("pool", PoolCaptioner)
"""The client of the captioner pool; absent unless configured."""
STREAM_CONTEXT = web.AppKey("stream context", StreamContext)
IMAGE_CAPTIONS = web.AppKey("image captions", ImageCaptions)
PUBLICATIONS = web.AppKey("publications", Publications)
USAGE_LIMITS = web.AppKey("usage limits", LocalLimits)
MEDIA = web.AppKey("media", MediaService)
"""Sessions, feeds and analyses, in this process or in media processes."""
RECENT = web.AppKey("recent", RecentSpans)
HISTORY = web.AppKey("history", History)
"""Absent unless configured, as are `WEBHOOK`, `MQTT` and `APPRISE`."""
RULES = web.AppKey("rules", RuleBook)
"""The rules of the configuration and those that were edited on the page."""
RULE_WATCHER = web.AppKey("rule watcher", RuleWatcher)
WEBHOOK = web.AppKey("webhook", WebhookSink)
MQTT = web.AppKey("mqtt", MqttSink)
APPRISE = web.AppKey("apprise", AppriseSink)
CLUSTER: "web.AppKey[Cluster]" = web.AppKey("cluster")
"""The cluster that this server belongs to; absent unless configured."""
CONNECTIONS = web.AppKey("connections", Connections)
"""The open HTTP connections; absent when a test serves the application itself."""
