"""Reload of the settings on SIGHUP: what can change without a restart takes effect at once."""

import asyncio
import logging
import os
import signal
import ssl
from collections.abc import Callable

from aiohttp import web

from web.keys import FEEDS
from web.security import (
    ACCESS,
    ALLOWED_HOSTS,
    LIMITS,
    CertificateError,
    certificate_names,
    check_exposure,
    obtain_certificate,
)
from web.service.log import log_to_stderr, secrets_in
from web.service.systemd import notify, notify_reloading
from web.settings import ServerSettings, SettingsError

_RELOADABLE = ("access", "feeds", "https", "limits", "log")
"""Settings that take effect on reload; the others need a restart."""

logger = logging.getLogger(__name__)


class SettingsReloader:
    """Reloads the settings on SIGHUP; if any setting is wrong, none changes."""

    def __init__(
        self,
        app: web.Application,
        settings: ServerSettings,
        read: Callable[[], ServerSettings],
        context: ssl.SSLContext | None,
        stop: asyncio.Event,
    ) -> None:
        """Reload into a running application.

        Args:
            app: The application.
            settings: Its current settings.
            read: Reads the settings again; raises `SettingsError`.
            context: The TLS context; None without HTTPS.
            stop: Set when SIGHUP means that the terminal was closed.
        """
        self._stop, self._had_terminal = stop, _has_terminal()
        self._app, self._settings, self._read, self._context = app, settings, read, context
        self._requested = asyncio.Event()

    async def run(self) -> None:
        """Reload on each SIGHUP, until cancelled."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._requested.set)
        try:
            while True:
                await self._requested.wait()
                self._requested.clear()
                if self._had_terminal and not _has_terminal():
                    self._stop.set()
                    return
                notify_reloading()
                await self.reload()
                notify("READY=1")
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def reload(self) -> None:
        """Read and apply the settings; log what changed and what needs a restart."""
        try:
            new = await asyncio.to_thread(self._read_checked)
            await asyncio.to_thread(self._load_certificate, new)
        except (SettingsError, CertificateError) as error:
            logger.error("settings not reloaded: %s", error)
            return
        changed = [
            name
            for name in ServerSettings.model_fields
            if getattr(new, name) != getattr(self._settings, name)
        ]
        pending = [name for name in changed if not self._is_reloadable(name, new)]
        await self._apply(new, changed)
        # Pending settings keep their running values, so that the next reload reports them again.
        running = {name: getattr(self._settings, name) for name in pending}
        self._settings = new.model_copy(update=running)
        logger.info("settings reloaded; changed: %s", ", ".join(changed) or "nothing")
        if pending:
            logger.warning("these settings need a restart: %s", ", ".join(pending))

    def _is_reloadable(self, name: str, new: ServerSettings) -> bool:
        if name == "https":
            return new.https.enabled == self._settings.https.enabled
        return name in _RELOADABLE

    def _read_checked(self) -> ServerSettings:
        new = self._read()
        check_exposure(new)
        return new

    def _load_certificate(self, new: ServerSettings) -> None:
        if self._context and new.https.enabled:
            obtain_certificate(new.https, certificate_names(new)).load(self._context)

    async def _apply(self, new: ServerSettings, changed: list[str]) -> None:
        log_to_stderr(new.log, secrets_in(new))
        if "access" in changed:
            self._app[ACCESS].configure(new.access)
            self._app[ALLOWED_HOSTS].configure(new)
        if "limits" in changed:
            self._app[LIMITS].configure(new.limits)
        if "feeds" in changed:
            await self._app[FEEDS].reload(new.feeds)


def _has_terminal() -> bool:
    """Whether the process has a controlling terminal; SIGHUP then means that it was closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
