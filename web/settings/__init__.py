"""The server's settings: sections, sources (command line, environment, file) and error messages."""

from web.settings.endpoints import EndpointSettings
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
    "HttpsSettings",
    "LimitsSettings",
    "LogSettings",
    "ServerSettings",
    "SettingsError",
    "SubscribersSettings",
    "read_settings",
]
