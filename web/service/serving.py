"""The server's life: it listens, tells where, reads its settings again, and stops in good order.

Memory that is free is given back to the system, which the allocator may not do for weeks.
"""

import asyncio
import contextlib
import ctypes
import gc
import logging
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from aiohttp import web

from inference.engine import CaptionService
from web.app import create_app
from web.keys import CONNECTIONS
from web.security import (
    LIMITS,
    Certificate,
    Connections,
    addresses,
    certificate_names,
    certificate_of,
    server_context,
)
from web.service.reloading import Reloading
from web.service.systemd import notify, watchdog_interval_s
from web.settings import ServerSettings

_BACKLOG = 128
_HANDSHAKE_S = 10.0
_SHUTDOWN_S = 1.0
"""What open HTTP connections are given to end by themselves."""

_RENEWAL_S = 12 * 3600.0

logger = logging.getLogger(__name__)

_PERIOD_S = 60.0


async def serve(
    settings: ServerSettings,
    reread: Callable[[], ServerSettings],
    captions: CaptionService | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM comes; at SIGHUP read the settings again.

    Args:
        settings: Of the server.
        reread: Reads them again; raises `SettingsError`.
        captions: As `create_app` takes it.

    Raises:
        OSError: If the address cannot be bound.
        CertificateError: If there is no certificate to be had.
    """
    stop = _stop_at_signals()
    # Until there is something to reload: what comes earlier is not to end the server.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Before anything costly is begun: an address that is in use is told at once.
    door = _bind(settings)
    certificate = await asyncio.to_thread(_certificate, settings)
    context = server_context(certificate) if certificate else None
    app = create_app(settings, captions)
    limits = app[LIMITS]
    app[CONNECTIONS] = Connections(lambda: limits.settings)
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=_SHUTDOWN_S,
        # aiohttp ends with it who sends no request, or half the headers of one.
        keepalive_timeout=settings.limits.headers_s,
    )
    try:
        await runner.setup()
        assert runner.server
        inner = runner.server
        listening = await asyncio.get_running_loop().create_server(
            lambda: app[CONNECTIONS].protocol(inner()),
            sock=door,
            ssl=context,
            ssl_handshake_timeout=_HANDSHAKE_S if context else None,
        )
        _spare_collector()
        _announce(settings, door.getsockname()[1], certificate)
        reloading = Reloading(app, settings, reread, context, stop)
        async with _beside(reloading.run(), _renew(settings, context), _heartbeat(), give_back()):
            notify("READY=1", "STATUS=Serving")
            await stop.wait()
        logger.info("stopping")
        notify("STOPPING=1")
        listening.close()
    finally:
        await runner.cleanup()


def _spare_collector() -> None:
    """Have Python's collector of circles pass over what was loaded: it stays for good.

    A full collection then takes some milliseconds, not tens of them, in which nothing else runs.
    """
    gc.collect()
    gc.freeze()


def _bind(settings: ServerSettings) -> socket.socket:
    host = "127.0.0.1" if settings.host == "localhost" else settings.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, settings.port), family=family, backlog=_BACKLOG)


def _stop_at_signals() -> asyncio.Event:
    """Stop in good order at the first signal; at the second as the system does."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def on_signal() -> None:
        stop.set()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(each)

    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, on_signal)
    return stop


def _certificate(settings: ServerSettings) -> Certificate | None:
    if not settings.https.wanted:
        return None
    return certificate_of(settings.https, certificate_names(settings))


def _announce(settings: ServerSettings, port: int, certificate: Certificate | None) -> None:
    """Say where to open the page: on standard output, for people and for who started this."""
    scheme = "https" if certificate else "http"
    for place, address in enumerate(addresses(settings)):
        host = f"[{address}]" if ":" in address else address
        lead = "Sightline serves on" if place == 0 else "  and on"
        print(f"{lead} {scheme}://{host}:{port}", flush=True)
    if certificate:
        print(
            "The browser will warn of a certificate that it does not know. Compare its SHA-256\n"
            f"fingerprint: {certificate.fingerprint}\n"
            f"It is valid until {certificate.until:%Y-%m-%d}.",
            flush=True,
        )
    print("(Press Ctrl+C to stop)", flush=True)


@contextlib.asynccontextmanager
async def _beside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have work done for as long as the context lasts."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _renew(settings: ServerSettings, context: ssl.SSLContext | None) -> None:
    """See to it that the certificate does not expire while the server runs."""
    while context:
        await asyncio.sleep(_RENEWAL_S)
        try:
            certificate = await asyncio.to_thread(_certificate, settings)
            if certificate:
                certificate.load(context)
        except ValueError as problem:
            logger.error("the certificate cannot be renewed: %s", problem)


async def _heartbeat() -> None:
    """Tell the service manager that the event loop turns."""
    while interval_s := watchdog_interval_s():
        notify("WATCHDOG=1")
        await asyncio.sleep(interval_s)


async def give_back() -> None:
    """Give back what is free, again and again until cancelled.

    glibc keeps arenas for a program's threads, each as large as it ever was at once. Pictures are
    hundreds of kilobytes, and many threads take them by turns: what the process holds would creep
    up with every coincidence.
    """
    trim = _trim()
    while trim:
        await asyncio.sleep(_PERIOD_S)
        await asyncio.to_thread(trim, 0)


def _trim() -> Callable[[int], int] | None:
    """The C library's `malloc_trim`, of which others than glibc know nothing."""
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
