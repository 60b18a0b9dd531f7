"""SIGHUP: the settings are read again, and what can change without a restart does."""

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
    HOSTS,
    LIMITS,
    CertificateError,
    certificate_names,
    certificate_of,
    check_exposure,
)
from web.service.log import log_to_stderr, secrets_in
from web.service.systemd import notify, notify_reloading
from web.settings import ServerSettings, SettingsError

_LIVE = ("access", "feeds", "https", "limits", "log")
"""What takes effect at once; all else waits for a restart."""


logger = logging.getLogger(__name__)


class Reloading:
    """Reads the settings again at SIGHUP; wrong ones are refused as a whole."""

    def __init__(
        self,
        app: web.Application,
        settings: ServerSettings,
        reread: Callable[[], ServerSettings],
        context: ssl.SSLContext | None,
        stop: asyncio.Event,
    ) -> None:
        """Change what goes by these settings now.

        Args:
            app: The application.
            settings: Those that it goes by.
            reread: Reads them again; raises `SettingsError`.
            context: What TLS goes by.
            stop: Is set when SIGHUP means that the terminal was closed.
        """
        self._stop, self._had_terminal = stop, _has_terminal()
        self._app, self._settings, self._reread, self._context = app, settings, reread, context
        self._asked = asyncio.Event()

    async def run(self) -> None:
        """Do it at each SIGHUP, until cancelled."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._asked.set)
        try:
            while True:
                await self._asked.wait()
                self._asked.clear()
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
        """Read the settings again, and go by them as far as can be; it says in the log how far."""
        try:
            wanted = await asyncio.to_thread(self._read)
            await asyncio.to_thread(self._load_certificate, wanted)
        except (SettingsError, CertificateError) as problem:
            logger.error("the settings stay as they were: %s", problem)
            return
        changed = [
            name
            for name in ServerSettings.model_fields
            if getattr(wanted, name) != getattr(self._settings, name)
        ]
        later = [name for name in changed if not self._is_live(name, wanted)]
        await self._apply(wanted, changed)
        # What waits for a restart is compared with what runs, however often this is done.
        kept = {name: getattr(self._settings, name) for name in later}
        self._settings = wanted.model_copy(update=kept)
        logger.info("settings read again; changed: %s", ", ".join(changed) or "nothing")
        if later:
            logger.warning("these settings take effect at the next start: %s", ", ".join(later))

    def _is_live(self, name: str, wanted: ServerSettings) -> bool:
        if name == "https":
            return wanted.https.wanted == self._settings.https.wanted
        return name in _LIVE

    def _read(self) -> ServerSettings:
        wanted = self._reread()
        check_exposure(wanted)
        return wanted

    def _load_certificate(self, wanted: ServerSettings) -> None:
        if self._context and wanted.https.wanted:
            certificate_of(wanted.https, certificate_names(wanted)).load(self._context)

    async def _apply(self, wanted: ServerSettings, changed: list[str]) -> None:
        log_to_stderr(wanted.log, secrets_in(wanted))
        if "access" in changed:
            self._app[ACCESS].configure(wanted.access)
            self._app[HOSTS].configure(wanted)
        if "limits" in changed:
            self._app[LIMITS].configure(wanted.limits)
        if "feeds" in changed:
            await self._app[FEEDS].reload(wanted.feeds)


def _has_terminal() -> bool:
    """Whether there is a terminal that governs this process: then SIGHUP means that it went."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
