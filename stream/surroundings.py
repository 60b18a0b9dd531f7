"""What all streams and sessions of a server share."""

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

from stream.analyses import Analyses
from stream.caption_service import CaptionService
from stream.counts import Counts
from stream.ice import MediaAddresses
from stream.ice_settings import IceSettings
from stream.live_encoder import encode_lightly
from stream.load import Load
from stream.prompt_jitter import deliver_promptly
from stream.settings import StreamSettings

_PAINTERS = 2
_ENCODERS = 2
_NO_SERVERS = IceSettings()


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
        deliver_promptly()
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
