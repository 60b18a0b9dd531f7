"""The server's life cycle: bind, announce the URL, serve, reload on SIGHUP, and stop cleanly."""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from inference.engine import CaptionService
from stream.process_memory import freeze_loaded_objects, trim_periodically
from web.app import create_app
from web.keys import CONNECTIONS
from web.security import (
    LIMITS,
    Certificate,
    Connections,
    ServerTls,
    certificate_names,
    listen_addresses,
    listens_on_both,
    obtain_certificate,
)
from web.service.reload import SettingsReloader
from web.service.systemd import notify, watchdog_interval_s
from web.settings import ServerSettings

_BACKLOG = 128
_HANDSHAKE_TIMEOUT_S = 10.0
_SHUTDOWN_TIMEOUT_S = 1.0
"""Time for open HTTP connections to finish."""

_LINGERING_S = 2.0
"""How long the rest of a rejected body is read and discarded before the connection is closed.

A client that is still sending would otherwise see a reset instead of the response (RFC 9112,
section 9.6).
"""

logger = logging.getLogger(__name__)


class ListenError(OSError):
    """The address cannot be bound; the message says why, and what to do."""


async def serve(
    settings: ServerSettings,
    read: Callable[[], ServerSettings],
    captions: CaptionService | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; reload the settings on SIGHUP.

    Args:
        settings: The server's settings.
        read: Reads the settings again; raises `SettingsError`.
        captions: The captioning service, as in `create_app`.

    Raises:
        ListenError: If the address cannot be bound.
        CertificateError: If there is no usable certificate.
    """
    stop = _stop_on_signals()
    # Until the reloader is ready, SIGHUP must not end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Bind before anything expensive starts, so that an address in use is reported at once.
    listener = _bind(settings)
    certificate = await asyncio.to_thread(_certificate, settings)
    tls = ServerTls(certificate) if certificate else None
    app = create_app(settings, captions)
    app[CONNECTIONS] = Connections(app[LIMITS])
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=_SHUTDOWN_TIMEOUT_S,
        # aiohttp also closes connections by it that send no request or incomplete headers.
        keepalive_timeout=settings.limits.headers_s,
        # A body is compressed only to be rejected.
        auto_decompress=False,
        lingering_time=_LINGERING_S,
    )
    try:
        await runner.setup()
        assert runner.server
        protocol_factory = runner.server
        server = await asyncio.get_running_loop().create_server(
            lambda: app[CONNECTIONS].protocol(protocol_factory()),
            sock=listener,
            ssl=tls.context if tls else None,
            ssl_handshake_timeout=_HANDSHAKE_TIMEOUT_S if tls else None,
        )
        freeze_loaded_objects()
        urls = _urls(settings, listener.getsockname()[1])
        reloader = SettingsReloader(app, settings, read, tls, stop)
        async with _running(
            reloader.run(), reloader.renew_certificate(), _watchdog(), trim_periodically()
        ):
            with _address_in_file(settings.address_file, urls[0]):
                _announce(urls, certificate)
                notify("READY=1", "STATUS=Serving")
                await stop.wait()
        logger.info("stopping")
        notify("STOPPING=1")
        server.close()
    finally:
        await runner.cleanup()


def _bind(settings: ServerSettings) -> socket.socket:
    host = "127.0.0.1" if settings.host == "localhost" else settings.host
    try:
        return socket.create_server(
            (host, settings.port),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            backlog=_BACKLOG,
            dualstack_ipv6=listens_on_both(host),
        )
    except OSError as error:
        raise ListenError(_bind_failure(error, settings)) from error


def _bind_failure(error: OSError, settings: ServerSettings) -> str:
    host, port = settings.host, settings.port
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return f"{address} is in use; stop the other program, or choose another port with --port"
    if error.errno == errno.EACCES:
        return f"no permission to use {address}; choose a port above 1023 with --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; choose another one with --host"
    if error.errno == errno.EAFNOSUPPORT:
        return f"this machine has no IPv6; use --host 0.0.0.0 instead of {host}"
    return f"cannot listen on {address}: {error.strerror or error}"


def _stop_on_signals() -> asyncio.Event:
    """Return an event set by the first SIGINT or SIGTERM; the second ends the process at once."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def on_signal() -> None:
        stop.set()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(each)

    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, on_signal)
    return stop


def _certificate(settings: ServerSettings) -> Certificate | None:
    if not settings.https.enabled:
        return None
    return obtain_certificate(settings.https, certificate_names(settings))


def _urls(settings: ServerSettings, port: int) -> list[str]:
    scheme = "https" if settings.https.enabled else "http"
    hosts = (f"[{host}]" if ":" in host else host for host in listen_addresses(settings))
    return [f"{scheme}://{host}:{port}" for host in hosts]


@contextlib.contextmanager
def _address_in_file(file: Path | None, url: str) -> Iterator[None]:
    """Keep the URL in a file, if one is configured, while the context lasts."""
    if file is None:
        yield
        return
    partial = file.with_name(f".{file.name}-{os.getpid()}")
    try:
        partial.write_text(f"{url}\n", encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        logger.warning("cannot write address_file %s: %s", file, error.strerror or error)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            file.unlink()


def _announce(urls: Sequence[str], certificate: Certificate | None) -> None:
    """Print the URLs on standard output, for people and for parent processes."""
    lines = [f"Sightline is running at {urls[0]}"]
    lines += [f"                 and at {url}" for url in urls[1:]]
    if certificate:
        lines += [
            "Your browser may warn that it does not trust the certificate. Compare the SHA-256",
            f"fingerprint: {certificate.fingerprint}",
            f"The certificate expires on {certificate.expires:%Y-%m-%d}.",
        ]
    try:
        print("\n".join([*lines, "(Press Ctrl+C to stop)"]), flush=True)
    except OSError as error:
        # Such as a pipe that its reader closed. Python must not fail again when it flushes at exit.
        logger.warning("cannot print the address: %s", error.strerror or error)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.asynccontextmanager
async def _running(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run coroutines as tasks while the context lasts."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watchdog() -> None:
    """Notify the service manager regularly that the event loop is running."""
    while interval_s := watchdog_interval_s():
        notify("WATCHDOG=1")
        await asyncio.sleep(interval_s)
