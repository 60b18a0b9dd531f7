"""Reload of the settings on SIGHUP: what can change without a restart takes effect at once."""

import asyncio
import logging
import os
import signal
import ssl
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from stream.feeds.source_reader import run_in_daemon_thread
from stream.rules import RuleFile, RuleFileError
from web.background import limit_viewer_requests
from web.keys import CLUSTER, ENDPOINT, MEDIA, RULES, USAGE_LIMITS
from web.media_processes import configure_media
from web.security import (
    ACCESS,
    ALLOWED_HOSTS,
    LIMITS,
    Certificate,
    CertificateError,
    ServerTls,
    certificate_names,
    check_exposure,
    create_server_context,
    obtain_certificate,
)
from web.service.log import log_to_stderr, secrets_in
from web.service.systemd import notify, notify_reloading
from web.settings import ServerSettings, SettingsError

_RELOADABLE = ("access", "endpoints", "feeds", "https", "limits", "log", "rules", "rules_file")
"""Settings that take effect on reload; the others need a restart."""

_READ_TIMEOUT_S = 30.0
_RENEWAL_INTERVAL_S = 3600.0
"""Short, because a certificate that was created by a wrong clock may not be valid yet."""

LoadedTls = tuple[Certificate, ssl.SSLContext]
Result = TypeVar("Result")

logger = logging.getLogger(__name__)


class SettingsReloader:
    """Reloads the settings on SIGHUP; if any setting is wrong, none changes."""

    def __init__(
        self,
        app: web.Application,
        settings: ServerSettings,
        read: Callable[[], ServerSettings],
        tls: ServerTls | None,
        stop: asyncio.Event,
    ) -> None:
        """Reload into a running application.

        Args:
            app: The application.
            settings: Its current settings.
            read: Reads the settings again; raises `SettingsError`.
            tls: TLS of the server; None without HTTPS.
            stop: Set when SIGHUP means that the terminal was closed.
        """
        self._stop, self._had_terminal = stop, _has_terminal()
        self._app, self._settings, self._read, self._tls = app, settings, read, tls
        self._requested = asyncio.Event()
        self._changing = asyncio.Lock()

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
        async with self._changing:
            try:
                await self._change(*await _run_bounded(self._read_checked))
            except Exception as error:
                logger.error("settings not reloaded: %s", describe_failure(error))

    async def renew_certificate(self) -> None:
        """Load the certificate again every hour, and renew it before it expires."""
        while self._tls:
            await asyncio.sleep(_RENEWAL_INTERVAL_S)
            async with self._changing:
                try:
                    self._tls.replace(*await _run_bounded(partial(_load_tls, self._settings)))
                except Exception as error:
                    logger.error("the certificate was not renewed: %s", describe_failure(error))

    def _read_checked(self) -> tuple[ServerSettings, list[str], LoadedTls | None]:
        """Read the settings and load the certificate, without changing anything.

        Returns the new settings, but with the running values of those that need a restart; the
        names of these; and the certificate.
        """
        read = self._read()
        check_exposure(read)
        pending = [name for name in self._changed(read) if not self._is_reloadable(name, read)]
        # They keep their running values, so that the next reload reports them again.
        running = {name: getattr(self._settings, name) for name in pending}
        new = read.model_copy(update=running)
        # The server still listens on its old address: without a token, others could reach it.
        check_exposure(new)
        return new, pending, _load_tls(new) if self._tls else None

    async def _change(
        self, new: ServerSettings, pending: list[str], loaded: LoadedTls | None
    ) -> None:
        changed = self._changed(new)
        try:
            await self._apply(new, changed)
        except Exception:
            await self._apply(self._settings, changed)
            raise
        if self._tls and loaded:
            self._tls.replace(*loaded)
        self._settings = new
        logger.info("settings reloaded; changed: %s", ", ".join(changed) or "nothing")
        if pending:
            logger.warning("these settings need a restart: %s", ", ".join(pending))

    def _changed(self, new: ServerSettings) -> list[str]:
        return [
            name
            for name in ServerSettings.model_fields
            if getattr(new, name) != getattr(self._settings, name)
        ]

    def _is_reloadable(self, name: str, new: ServerSettings) -> bool:
        if name == "https":
            return new.https.enabled == self._settings.https.enabled
        if name == "endpoints":
            # The captioner itself needs a restart, so the endpoint that is in use cannot go.
            running = self._settings.captioner
            return running.kind != "endpoint" or running.value in new.endpoints
        return name in _RELOADABLE

    async def _apply(self, new: ServerSettings, changed: list[str]) -> None:
        log_to_stderr(new.log, secrets_in(new))
        if "access" in changed:
            self._app[ACCESS].configure(new.access)
            self._app[ALLOWED_HOSTS].configure(new)
        if "limits" in changed:
            self._app[LIMITS].configure(new.limits)
        captioner = self._app.get(ENDPOINT)
        if "endpoints" in changed and new.endpoint:
            if captioner:
                await captioner.configure(new.endpoint)
            limit_viewer_requests(self._app[USAGE_LIMITS], new.endpoint)
        configure_media(self._app[MEDIA], new)
        # Also if only the file of the edited rules has changed.
        file = RuleFile(new.rules_file) if new.rules_file else None
        await self._app[RULES].reload(new.rules, file)
        if "feeds" in changed:
            if cluster := self._app.get(CLUSTER):
                cluster.configure(new.feeds)
            else:
                await self._app[MEDIA].feeds.reload(new.feeds)


def _load_tls(settings: ServerSettings) -> LoadedTls:
    certificate = obtain_certificate(settings.https, certificate_names(settings))
    return certificate, create_server_context(certificate)


async def _run_bounded(work: Callable[[], Result]) -> Result:
    """Run a function that reads files: a disk that never responds must not delay the stop.

    Raises:
        TimeoutError: If it takes too long; its thread is then left to itself.
    """
    async with asyncio.timeout(_READ_TIMEOUT_S):
        return await run_in_daemon_thread(work, "settings")


def describe_failure(error: Exception) -> str:
    """Return the reason of a failure to read settings, without any value of the settings."""
    if isinstance(error, SettingsError | CertificateError | RuleFileError):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"reading the files took longer than {_READ_TIMEOUT_S:g} s"
    # The message of an unforeseen exception may repeat a secret.
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"unexpected {type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"


def _has_terminal() -> bool:
    """Whether the process has a controlling terminal; SIGHUP then means that it was closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
