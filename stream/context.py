"""What all streams and sessions of a server share.

Who or what a line of the log is about: carried by tasks from where they were begun.
"""

from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass

from inference.engine import CaptionService
from stream.analyses import Analyses
from stream.counters import Counts
from stream.ice import IceSettings, MediaAddresses
from stream.load import Load
from stream.settings import StreamSettings
from stream.video import encode_lightly

_PAINTERS = 2
_ENCODERS = 2
_NO_SERVERS = IceSettings()

LOG_CONTEXT: ContextVar[Mapping[str, str]] = ContextVar("log context")
"""Names such as `request`, `session` or `feed`, each with its id."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The server, as one of its streams or sessions sees it."""

    settings: StreamSettings
    captions: CaptionService
    analyses: Analyses
    """Those that clients asked for, whether still connected or not."""
    addresses: MediaAddresses
    ice: IceSettings
    counts: Counts
    load: Load
    painting: Executor
    """Draws captions and maps into returned video."""
    encoding: Executor
    """Encodes video that is shared."""
    sampling: Executor
    """Prepares sampled pictures for the captioner, and new captions and maps for drawing."""
    studying: Executor
    """Converts kept pictures that are explained or looked at."""

    @classmethod
    def prepare(
        cls,
        settings: StreamSettings,
        captions: CaptionService,
        host: str,
        ice: IceSettings = _NO_SERVERS,
    ) -> "Surroundings":
        """Make what is shared, for media that may use the addresses of `host`."""
        encode_lightly()
        return cls(
            settings=settings,
            captions=captions,
            analyses=Analyses(captions, settings),
            addresses=MediaAddresses(host, ice.port_range),
            ice=ice,
            counts=Counts(),
            load=Load(),
            painting=ThreadPoolExecutor(_PAINTERS, "painting"),
            encoding=ThreadPoolExecutor(_ENCODERS, "encoding"),
            sampling=ThreadPoolExecutor(1, "sampling"),
            studying=ThreadPoolExecutor(1, "studying"),
        )

    async def close(self) -> None:
        """End every analysis, and free the rest; streams and sessions go before."""
        await self.analyses.close()
        for executor in (self.painting, self.encoding, self.sampling, self.studying):
            executor.shutdown(wait=False)
        self.addresses.release()


def log_as(**ids: str) -> None:
    """Add ids to all that this task, and those that it begins from now on, will log."""
    LOG_CONTEXT.set({**LOG_CONTEXT.get({}), **ids})
