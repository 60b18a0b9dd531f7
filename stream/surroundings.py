"""What all sessions of a server share."""

from concurrent.futures import Executor
from dataclasses import dataclass

from stream.analyses import Analyses
from stream.caption_service import CaptionService
from stream.ice import MediaAddresses
from stream.settings import StreamSettings


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The server, as one of its sessions sees it."""

    settings: StreamSettings
    captions: CaptionService
    analyses: Analyses
    addresses: MediaAddresses
    painting: Executor
    """Draws captions and maps into returned video."""
    sampling: Executor
    """Prepares sampled pictures for the captioner, and new captions and maps for drawing."""
    studying: Executor
    """Converts kept pictures that are explained or looked at."""
