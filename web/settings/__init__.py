"""The server's settings: sections, sources (command line, environment, file) and error messages."""

from web.settings.endpoints import EndpointSettings
from web.settings.engine import EngineSettings
from web.settings.sections import (
    AccessSettings,
    HttpsSettings,
    LimitsSettings,
    LogSettings,
    SubscribersSettings,
)
from web.settings.server import ServerSettings, SettingsError, read_settings

__all__ = [
    "AccessSettings",
    "EndpointSettings",
    "EngineSettings",
    "HttpsSettings",
    "LimitsSettings",
    "LogSettings",
    "ServerSettings",
    "SettingsError",
    "SubscribersSettings",
    "read_settings",
]
