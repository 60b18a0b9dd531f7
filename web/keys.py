"""What the routes find in the application."""

from aiohttp import web

from inference.engine import Engine
from stream.sessions import Sessions
from stream.settings import StreamSettings

SETTINGS = web.AppKey("settings", StreamSettings)
HOST = web.AppKey("host", str)
ENGINE = web.AppKey("engine", Engine)
SESSIONS = web.AppKey("sessions", Sessions)
