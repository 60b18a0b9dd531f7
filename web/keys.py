"""What the routes find in the application."""

from aiohttp import web

from inference.engine import Engine
from stream.caption_service import CaptionService
from stream.feeds.feeds import Feeds
from stream.history import History
from stream.outlets.mqtt import Mqtt
from stream.outlets.webhook import Webhook
from stream.publications import Publications
from stream.recent_spans import RecentSpans
from stream.sessions import Sessions
from stream.surroundings import Surroundings
from web.locks.connections import Connections
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
