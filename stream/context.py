"""The context that all streams and sessions of a server share, and the ids in their log records."""

from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass

from inference.engine import CaptionService
from stream.analyses import Analyses
from stream.counters import Counters
from stream.ice import IceSettings, MediaAddresses
from stream.load import LoadMonitor
from stream.settings import StreamSettings
from stream.usage_limits import LocalLimits, UsageLimits
from stream.video import install_vp8_encoder

_DRAW_THREADS = 2
_ENCODE_THREADS = 2
_NO_SERVERS = IceSettings()

LOG_CONTEXT: ContextVar[Mapping[str, str]] = ContextVar("log context")
"""Ids that are added to every log record, by name: `request`, `session` or `feed`.

A task inherits them from the task that created it.
"""


def bind_log_context(**ids: str) -> None:
    """Add ids to the log records of this task and of the tasks that it creates from now on."""
    LOG_CONTEXT.set({**LOG_CONTEXT.get({}), **ids})


@dataclass(frozen=True, slots=True)
class StreamContext:
    """Settings, services and thread pools that all streams and sessions of a server share."""

    settings: StreamSettings
    caption_service: CaptionService
    analyses: Analyses
    """Analyses that clients have started, also those whose client has disconnected."""
    limits: UsageLimits
    """What clients may use, over all processes of the server."""
    addresses: MediaAddresses
    ice: IceSettings
    counters: Counters
    load: LoadMonitor
    draw_executor: Executor
    """Draws captions and heat maps on frames."""
    encode_executor: Executor
    """Encodes shared video."""
    prepare_executor: Executor
    """Prepares sampled frames for the captioner, and new captions and heat maps for drawing."""
    image_executor: Executor
    """Converts kept frames for explanations, analyses and JPEG downloads."""

    @classmethod
    def create(
        cls,
        settings: StreamSettings,
        caption_service: CaptionService,
        host: str,
        ice: IceSettings = _NO_SERVERS,
        limits: UsageLimits | None = None,
    ) -> "StreamContext":
        """Create the context of a server.

        Args:
            settings: Limits of streams and sessions.
            caption_service: The caption service of all streams.
            host: The host that the server listens on; media uses its addresses.
            ice: STUN and TURN servers and the port range.
            limits: What clients may use; counted in this process by default.
        """
        install_vp8_encoder()
        limits = limits or LocalLimits(settings.analyses)
        return cls(
            settings=settings,
            caption_service=caption_service,
            analyses=Analyses(caption_service, settings, limits.analysis),
            limits=limits,
            addresses=MediaAddresses(host, ice.port_range),
            ice=ice,
            counters=Counters(),
            load=LoadMonitor(),
            draw_executor=ThreadPoolExecutor(_DRAW_THREADS, "draw"),
            encode_executor=ThreadPoolExecutor(_ENCODE_THREADS, "encode"),
            prepare_executor=ThreadPoolExecutor(1, "prepare"),
            image_executor=ThreadPoolExecutor(1, "image"),
        )

    async def close(self) -> None:
        """Cancel all analyses and release the rest; close the streams and sessions first."""
        await self.analyses.close()
        for executor in (
            self.draw_executor,
            self.encode_executor,
            self.prepare_executor,
            self.image_executor,
        ):
            executor.shutdown(wait=False)
        self.addresses.release()
