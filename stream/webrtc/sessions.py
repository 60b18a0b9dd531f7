"""All live sessions of a server, limited in number and ended with it."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

from aiortc import RTCSessionDescription

from stream.context import StreamContext, bind_log_context
from stream.ice import NoPortFree
from stream.load import LoadLevel
from stream.publishing import Publications
from stream.quota import SERVER, Owner, Quota, QuotaExceeded, ShareExceeded
from stream.webrtc.frame_limit import limit_received_frames
from stream.webrtc.jitter_buffer import use_low_latency_jitter_buffer
from stream.webrtc.offer import InputKind, Offer
from stream.webrtc.rtp import use_direct_rtp
from stream.webrtc.session import Session, SessionEnd

_END_S = 5.0
_CLOSE_S = 1.0
"""How long to wait for all sessions together to notify their clients."""


class _LiveSession(NamedTuple):
    session: Session
    task: asyncio.Task[None]
    owner: Owner


class ServerFull(RuntimeError):
    """The server accepts no more sessions for now."""

    retry_after_s = 10


class SessionGone(LookupError):
    """The session does not exist, or has ended."""


class Sessions:
    """Accepts offers and runs their sessions; an async context manager that ends them."""

    def __init__(
        self,
        context: StreamContext,
        publications: Publications,
        on_end: Callable[[str], None] = lambda session: None,
    ) -> None:
        """Start without sessions.

        Args:
            context: Settings and services of the server.
            publications: Published streams, for sessions to watch or to publish themselves.
            on_end: Called with the id of each session that has ended.
        """
        use_low_latency_jitter_buffer()
        use_direct_rtp()
        limit_received_frames(context.settings.frame_pixels)
        self.context, self._publications, self._on_end = context, publications, on_end
        self._live: dict[str, _LiveSession] = {}
        self._viewer_quota = Quota(context.settings.viewers, "viewers")
        self._quota = Quota(context.settings.sessions, "sessions")
        """Of sessions with a source of their own."""

    def __len__(self) -> int:
        return len(self._live)

    @property
    def viewers(self) -> int:
        """Number of sessions that watch a feed or another session."""
        return len(self._viewer_quota)

    def count_of(self, owner: Owner) -> int:
        """Return the number of live sessions of an owner."""
        return sum(live.owner == owner for live in self._live.values())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def accept(
        self,
        offer: Offer,
        *,
        owner: Owner = SERVER,
        may_analyse: bool = True,
        session_id: str = "",
    ) -> tuple[str, RTCSessionDescription]:
        """Start a session; return its id and the answer.

        Args:
            offer: The client's offer.
            owner: Whose session it is, for the quotas and `count_of`.
            may_analyse: Whether the client may request analyses.
            session_id: Its id, from `new_session_id`; a new one by default.

        Raises:
            ServerFull: If the limit of sessions or viewers is reached, the server is overloaded, or
                no UDP port is free.
            ShareExceeded: If the owner's address has its share of the sessions or viewers.
            OfferError: If the offer cannot be answered.
            NoSuchStream: If the feed to watch does not exist.
            CaptionedElsewhere: If another process captions it.
            NameTaken: If the name to publish under is in use.
        """
        level = self.context.load.level
        if level >= LoadLevel.NO_NEW_SESSIONS:
            raise ServerFull(level.message)
        quota = self._viewer_quota if offer.input is InputKind.FEED else self._quota
        try:
            quota.check(owner)
        except ShareExceeded:
            raise
        except QuotaExceeded as problem:
            raise ServerFull(str(problem)) from problem
        session = Session(
            offer,
            self.context,
            self._publications,
            owner=owner,
            may_analyse=may_analyse,
            session_id=session_id,
        )
        quota.acquire(owner)
        answer: asyncio.Future[RTCSessionDescription] = asyncio.Future()
        task = asyncio.create_task(_run(session, answer), name=f"session {session.name}")
        self._live[session.id] = _LiveSession(session, task, owner)

        def on_end(_: asyncio.Task[None]) -> None:
            del self._live[session.id]
            quota.release(owner)
            self._on_end(session.id)

        task.add_done_callback(on_end)
        try:
            return session.id, await asyncio.shield(answer)
        except NoPortFree as problem:
            raise ServerFull(str(problem)) from problem

    def find(self, session: str) -> Session:
        """Return the live session with an id.

        Raises:
            SessionGone: If there is none.
        """
        if session not in self._live:
            raise SessionGone("the session does not exist or has ended; connect again")
        return self._live[session].session

    async def end(self, session: str, reason: str) -> None:
        """End a session, and wait until its name is free again.

        Raises:
            SessionGone: If there is none.
        """
        ending = self.find(session)
        task = self._live[session].task
        ending.end(SessionEnd(reason))
        await asyncio.wait([task], timeout=_END_S)

    async def frame_jpeg(self, session: str, seq: int) -> bytes:
        """Return the frame of a caption as JPEG, without annotations.

        Args:
            session: Id of the session that received the caption.
            seq: Sequence number of the caption: the frozen one, or one of the latest.

        Raises:
            FrameNotFound: If the frame is no longer kept.
            SessionGone: If there is no such session.
        """
        return await self.find(session).client.frames.find(seq).jpeg()

    async def close(self, reason: str = "the server is stopping") -> None:
        """End all sessions, and send each client the reason."""
        for live in self._live.values():
            live.session.end(SessionEnd(reason, "server-stopping"))
        tasks = [live.task for live in self._live.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run(session: Session, answer: asyncio.Future[RTCSessionDescription]) -> None:
    """Answer and run in one task, so that nothing is left if either fails or is cancelled."""
    bind_log_context(session=session.name)
    try:
        answer.set_result(await session.answer())
        await session.run()
    except Exception as problem:
        if answer.done():
            raise
        answer.set_exception(problem)
    finally:
        await session.close()
        answer.cancel()
