"""Sessions that run in media processes: placed there by load, and limited over all of them."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Protocol

from aiortc import RTCSessionDescription

from stream.load import LoadLevel
from stream.media.channel import ChannelClosed
from stream.media.remote_streams import RemoteStreams
from stream.media.slot import RemoteSession, Slot
from stream.quota import SERVER, Owner, Quota, QuotaExceeded, ShareExceeded
from stream.settings import StreamSettings
from stream.webrtc import InputKind, Offer, ServerFull, SessionGone, new_session_id

_CLOSE_S = 2.0
"""How long media processes may take to end all sessions."""


class Placement(Protocol):
    """Chooses where a session runs."""

    async def slot_for_session(self) -> Slot:
        """Return the place of a session with its own source; raises ServerFull."""

    @property
    def running(self) -> list[Slot]:
        """The slots whose process runs."""

    def on_placed(self) -> None:
        """Note that something was placed."""


class RemoteSessions:
    """All live sessions of a server whose media processes run them."""

    def __init__(
        self, settings: StreamSettings, streams: RemoteStreams, placement: Placement
    ) -> None:
        """Start without sessions.

        Args:
            settings: The numbers of sessions and viewers.
            streams: The published streams, to find what a viewer watches.
            placement: Chooses where a session runs.
        """
        self._streams, self._placement = streams, placement
        self._live: dict[str, RemoteSession] = {}
        self._viewer_quota = Quota(settings.viewers, "viewers")
        self._quota = Quota(settings.sessions, "sessions")

    def __len__(self) -> int:
        return len(self._live)

    @property
    def viewers(self) -> int:
        """Number of sessions that watch a feed or another session."""
        return len(self._viewer_quota)

    def count_of(self, owner: Owner) -> int:
        """Return the number of live sessions of an owner."""
        return sum(session.owner == owner for session in self._live.values())

    async def accept(
        self, offer: Offer, *, owner: Owner = SERVER, may_analyse: bool = True
    ) -> tuple[str, RTCSessionDescription]:
        """Start a session in a media process; return its id and the answer.

        Args:
            offer: The client's offer.
            owner: Whose session it is, for the quotas and `count_of`.
            may_analyse: Whether the client may request analyses.

        Raises the same as `stream.webrtc.Sessions.accept`.
        """
        with self._reserved_name(offer):
            session = RemoteSession(new_session_id(), offer, owner, await self._slot_for(offer))
            self._add(session)
            try:
                answer = await session.accept(may_analyse=may_analyse)
            except asyncio.CancelledError:
                # It lives on in its process, which reports when it ends.
                raise
            except ChannelClosed as problem:
                self.remove(session.id)
                message = "the process that was to run the session stopped"
                raise ServerFull(message) from problem
            except Exception:
                self.remove(session.id)
                raise
        return session.id, answer

    def find(self, session: str) -> RemoteSession:
        """Return the live session with an id.

        Raises:
            SessionGone: If there is none.
        """
        if session not in self._live:
            raise SessionGone("the session does not exist or has ended; connect again")
        return self._live[session]

    async def end(self, session: str, reason: str) -> None:
        """End a session, and wait until its name is free again.

        Raises:
            SessionGone: If there is none.
        """
        await self.find(session).request("end", reason=reason)

    async def frame_jpeg(self, session: str, seq: int) -> bytes:
        """Return the frame of a caption as JPEG, without annotations.

        Args:
            session: Id of the session that received the caption.
            seq: Sequence number of the caption: the frozen one, or one of the latest.

        Raises:
            FrameNotFound: If the frame is no longer kept.
            SessionGone: If there is no such session.
        """
        return (await self.find(session).request("frame", seq=seq)).payload

    async def close(self) -> None:
        """End all sessions, and send each client the reason."""
        ending = [asyncio.create_task(slot.request("end_all")) for slot in self._placement.running]
        if ending:
            await asyncio.wait(ending, timeout=_CLOSE_S)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    def remove(self, session: str) -> None:
        """Note that a session has ended; does nothing if that is known."""
        ended = self._live.pop(session, None)
        if ended:
            del ended.slot.sessions[session]
            self._quota_of(ended.offer).release(ended.owner)

    def remove_all(self, slot: Slot) -> None:
        """Note that the process of a slot has ended, and its sessions with it."""
        for session in list(slot.sessions):
            self.remove(session)

    def _add(self, session: RemoteSession) -> None:
        try:
            self._quota_of(session.offer).acquire(session.owner)
        except ShareExceeded:
            raise
        except QuotaExceeded as problem:
            raise ServerFull(str(problem)) from problem
        self._live[session.id] = session.slot.sessions[session.id] = session
        self._placement.on_placed()

    async def _slot_for(self, offer: Offer) -> Slot:
        if offer.input is not InputKind.FEED:
            return await self._placement.slot_for_session()
        slot = await self._streams.slot_of(offer.feed)
        if slot.level >= LoadLevel.NO_NEW_SESSIONS:
            raise ServerFull(slot.level.message)
        return slot

    def _quota_of(self, offer: Offer) -> Quota:
        return self._viewer_quota if offer.input is InputKind.FEED else self._quota

    @contextlib.contextmanager
    def _reserved_name(self, offer: Offer) -> Iterator[None]:
        if not offer.publish:
            yield
            return
        with self._streams.reserved(offer.publish):
            yield
