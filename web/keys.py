"""What the routes find in the application."""

from aiohttp import web

from inference.engine import Engine
from stream.caption_service import CaptionService
from stream.feeds.feeds import Feeds
from stream.publications import Publications
from stream.sessions import Sessions
from stream.surroundings import Surroundings
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
