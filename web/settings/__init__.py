"""TODO."""

from web.settings.sections import (
    AccessSettings,
    DoorsSettings,
    HttpsSettings,
    LimitsSettings,
    LogSettings,
)
from web.settings.server import ServerSettings, SettingsError, read_settings

__all__ = [
    "AccessSettings",
    "DoorsSettings",
    "HttpsSettings",
    "LimitsSettings",
    "LogSettings",
    "ServerSettings",
    "SettingsError",
    "read_settings",
]
