"""What the routes find in the application."""

from aiohttp import web

from inference.engine import CaptionService, Engine
from stream.context import Surroundings
from stream.feeds import Feeds
from stream.history import History
from stream.publishing import Publications, RecentSpans
from stream.publishing.sinks import Mqtt, Webhook
from stream.webrtc import Sessions
from web.security import Connections
from web.settings import ServerSettings

SETTINGS = web.AppKey("settings", ServerSettings)
CAPTIONS = web.AppKey("captions", CaptionService)
"""What captions: the engine, but where tests say otherwise."""
ENGINE = web.AppKey("engine", Engine)
"""The server's own engine; absent where captions come from elsewhere."""
SURROUNDINGS = web.AppKey("surroundings", Surroundings)
PUBLICATIONS = web.AppKey("publications", Publications)
FEEDS = web.AppKey("feeds", Feeds)
SESSIONS = web.AppKey("sessions", Sessions)
RECENT = web.AppKey("recent", RecentSpans)
HISTORY = web.AppKey("history", History)
"""Absent unless it is configured, as are the next two."""
WEBHOOK = web.AppKey("webhook", Webhook)
MQTT = web.AppKey("mqtt", Mqtt)
CONNECTIONS = web.AppKey("connections", Connections)
"""The open ones; absent where tests serve the application themselves."""
