"""The application's media processes: their settings, and the socket on which they get captions."""

import contextlib
import logging
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from inference.pool import CaptionServer
from stream.context import StreamContext
from stream.media import (
    AdjustableSettings,
    LocalMedia,
    MediaProcesses,
    MediaService,
    WorkerSettings,
    media_process_count,
)
from stream.publishing import Publications
from web.keys import CAPTIONS, MEDIA, SETTINGS
from web.settings import ServerSettings, SettingsError

_MAX_SOCKET_PATH = 100
"""Bytes; the system allows 108, or 104."""


def create_media(
    settings: ServerSettings, context: StreamContext, publications: Publications
) -> MediaService:
    """Create what runs sessions and feeds, in media processes or in this one."""
    count = media_process_count(settings.stream)
    if count:
        return MediaProcesses(context, publications, count)
    return LocalMedia(context, publications)


async def run_media_processes(app: web.Application) -> AsyncIterator[None]:
    """Run the media processes, if there are any, and serve captions to them.

    Raises:
        SettingsError: If there is no place for the socket.
    """
    media, settings, server = app[MEDIA], app[SETTINGS], CaptionServer(app[CAPTIONS])
    if not isinstance(media, MediaProcesses):
        yield
        return
    with _socket_folder() as folder:
        socket = Path(folder, "captions")
        await server.listen_unix(socket)
        media.start(
            WorkerSettings(
                stream=settings.stream,
                host=settings.host,
                ice=settings.ice,
                captions=socket,
                adjustable=_adjustable_settings(settings),
            )
        )
        yield
        await media.close()
        await server.close()


def configure_media(media: MediaService, settings: ServerSettings) -> None:
    """Apply the settings that media processes can change while they run."""
    if isinstance(media, MediaProcesses):
        media.configure(_adjustable_settings(settings))


def _socket_folder() -> tempfile.TemporaryDirectory[str]:
    """Create a folder that only this user can enter, with a path short enough for a socket.

    Raises:
        SettingsError: If there is no place for it.
    """
    for parent in (tempfile.gettempdir, lambda: "/tmp", lambda: "/dev/shm"):
        with contextlib.suppress(OSError):
            folder = tempfile.TemporaryDirectory(
                prefix="sightline-", dir=parent(), ignore_cleanup_errors=True
            )
            if len(folder.name) < _MAX_SOCKET_PATH - len("/captions"):
                return folder
            folder.cleanup()
    raise SettingsError(
        "media processes need a folder for a socket, and neither TMPDIR, /tmp nor /dev/shm can be "
        "written; mount one, or set [stream] media_processes = 0"
    )


def _adjustable_settings(settings: ServerSettings) -> AdjustableSettings:
    endpoint = settings.endpoint
    return AdjustableSettings(
        log_level=logging.getLevelNamesMapping()[settings.log.level.upper()],
        viewers_may_cause_requests=endpoint is None or endpoint.viewer_requests_per_hour > 0,
    )
