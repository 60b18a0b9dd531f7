"""Sessions, feeds and analyses as the HTTP server uses them, in its own process or in others."""

from collections.abc import Mapping
from typing import Any, Protocol

from aiortc import RTCSessionDescription

from stream.context import StreamContext
from stream.feeds import Feeds, FeedSettings
from stream.ice import SdpFragment
from stream.load import LoadLevel
from stream.media.figures import MediaReport, ProcessFigures
from stream.publishing import Publications
from stream.quota import Owner
from stream.webrtc import Offer, Sessions


class SessionHandle(Protocol):
    """A live session, whichever process runs it."""

    @property
    def id(self) -> str:
        """Unguessable, because it grants access to the session's kept frames."""

    @property
    def offer(self) -> Offer:
        """The offer that started it."""

    async def add_candidates(self, fragment: SdpFragment) -> None:
        """Add candidates of the client; raises FragmentError, IceRestart or SessionGone."""


class SessionService(Protocol):
    """All live sessions of a server; see `stream.webrtc.Sessions`, which runs them."""

    def __len__(self) -> int:
        """Return the number of sessions."""

    @property
    def viewers(self) -> int:
        """Number of sessions that watch a feed or another session."""

    def count_of(self, owner: Owner) -> int:
        """Return the number of live sessions of an owner."""

    async def accept(
        self, offer: Offer, *, owner: Owner = ..., may_analyse: bool = ...
    ) -> tuple[str, RTCSessionDescription]:
        """Start a session; return its id and the answer."""

    def find(self, session: str) -> SessionHandle:
        """Return the live session with an id; raises SessionGone."""

    async def end(self, session: str, reason: str) -> None:
        """End a session, and wait until its name is free again; raises SessionGone."""

    async def frame_jpeg(self, session: str, seq: int) -> bytes:
        """Return the frame of a caption as JPEG; raises FrameNotFound or SessionGone."""

    async def close(self) -> None:
        """End all sessions, and send each client the reason."""


class FeedService(Protocol):
    """The feeds of a server; see `stream.feeds.Feeds`, which runs them."""

    async def reload(self, settings: Mapping[str, FeedSettings]) -> None:
        """Run exactly these feeds."""

    async def close(self) -> None:
        """Stop all feeds."""


class AnalysisService(Protocol):
    """The analyses of a server by their tokens; see `stream.analyses.Analyses`."""

    async def describe(self, token: str) -> dict[str, Any]:
        """Return `analysis` of `schema.json`; raises AnalysisNotFound."""

    async def discard(self, token: str) -> None:
        """Cancel an analysis, or delete its result; raises AnalysisNotFound."""

    async def read_file(self, token: str, name: str) -> bytes:
        """Return a file of an analysis; raises AnalysisNotFound or AnalysisFileNotFound."""


class MediaService(Protocol):
    """Everything that has video: sessions, feeds and analyses, with their figures."""

    @property
    def sessions(self) -> SessionService:
        """All live sessions."""

    @property
    def feeds(self) -> FeedService:
        """All feeds."""

    @property
    def analyses(self) -> AnalysisService:
        """All analyses."""

    @property
    def report(self) -> MediaReport:
        """The sum of all figures, and the highest load level."""

    @property
    def processes(self) -> tuple[ProcessFigures, ...]:
        """Figures of each media process; none if there are no such processes."""

    @property
    def accepting_level(self) -> LoadLevel:
        """Load level that decides whether the server takes on more work: the lowest of all."""

    async def refresh(self) -> None:
        """Bring the figures up to date."""


class LocalMedia:
    """Sessions, feeds and analyses in this process."""

    def __init__(self, context: StreamContext, publications: Publications) -> None:
        """Start without sessions and feeds."""
        self._context = context
        self.sessions = Sessions(context, publications)
        self.feeds = Feeds(context, publications)
        self.analyses = context.analyses
        self.processes: tuple[ProcessFigures, ...] = ()

    @property
    def report(self) -> MediaReport:
        """The figures of this process."""
        return MediaReport.of(self._context)

    @property
    def accepting_level(self) -> LoadLevel:
        """The load level of this process."""
        return self._context.load.level

    async def refresh(self) -> None:
        """Do nothing: the figures are always up to date."""
