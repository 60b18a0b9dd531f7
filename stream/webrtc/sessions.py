"""All live sessions of a server: so many and no more, and none left when it stops."""

import asyncio
from types import TracebackType
from typing import NamedTuple, Self

from aiortc import RTCSessionDescription

from stream.context import Surroundings, log_as
from stream.ice import NoPortFree
from stream.load import LoadStep
from stream.publishing import Publications
from stream.webrtc.jitter_buffer import deliver_promptly
from stream.webrtc.offer import InputKind, Offer
from stream.webrtc.session import Ended, Session

_END_S = 5.0


_FAREWELLS_S = 1.0
"""How long all farewells together may take."""


class _Live(NamedTuple):
    session: Session
    task: asyncio.Task[None]
    owner: str


class ServerFull(RuntimeError):
    """As many sessions are live as may be."""

    retry_after_s = 10


class SessionGone(LookupError):
    """There is no such session any more."""


class Sessions:
    """Accepts offers and keeps their sessions; an asynchronous context manager."""

    def __init__(self, shared: Surroundings, publications: Publications) -> None:
        """Accept sessions, which may watch what is published, or be published themselves."""
        deliver_promptly()
        self.shared, self._publications = shared, publications
        self._live: dict[str, _Live] = {}

    def __len__(self) -> int:
        return len(self._live)

    @property
    def viewers(self) -> int:
        """Sessions that watch what others send."""
        return sum(live.session.watches for live in self._live.values())

    def of(self, owner: str) -> int:
        """Count the live sessions of an owner."""
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
        self, offer: Offer, *, owner: str = "", may_analyse: bool = True
    ) -> tuple[str, RTCSessionDescription]:
        """Start a session; return its id and the answer.

        Args:
            offer: What is offered.
            owner: Whose it is, to be told by `of`.
            may_analyse: Whether the client may ask for analyses.

        Raises:
            ServerFull: If there are as many sessions, or as many viewers, as may be, or no UDP
                port is left.
            OfferError: If the offer cannot be answered.
            NoSuchStream: If it wants to watch what is not there.
            NameTaken: If it wants to publish under a name that is taken.
        """
        self._check_room(offer)
        session = Session(offer, self.shared, self._publications, may_analyse=may_analyse)
        answered: asyncio.Future[RTCSessionDescription] = asyncio.Future()
        task = asyncio.create_task(_live(session, answered), name=f"session {session.name}")
        self._live[session.id] = _Live(session, task, owner)
        task.add_done_callback(lambda _: self._live.pop(session.id))
        try:
            return session.id, await asyncio.shield(answered)
        except NoPortFree as problem:
            raise ServerFull(str(problem)) from problem

    def find(self, session: str) -> Session:
        """Find a live session by its id.

        Raises:
            SessionGone: If there is none.
        """
        if session not in self._live:
            raise SessionGone("there is no such session any more: connect again")
        return self._live[session].session

    async def end(self, session: str, why: str) -> None:
        """End a session, and wait until its name can be taken again.

        Raises:
            SessionGone: If there is none.
        """
        ending = self.find(session)
        task = self._live[session].task
        ending.end(Ended(why))
        await asyncio.wait([task], timeout=_END_S)

    async def picture(self, session: str, seq: int) -> bytes:
        """Give the picture of a caption, as a JPEG: what the caption speaks of, with nothing on it.

        Args:
            session: The id of the session that was told the caption.
            seq: The caption's number; it is the frozen one, or one of the last few.

        Raises:
            FrameGone: If the picture is not kept any more.
            SessionGone: If there is no such session.
        """
        return await self.find(session).client.frames.find(seq).jpeg()

    async def close(self, why: str = "the server is stopping") -> None:
        """End every session, telling each client why."""
        for live in self._live.values():
            live.session.end(Ended(why, "server-stopping"))
        tasks = [live.task for live in self._live.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=_FAREWELLS_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _check_room(self, offer: Offer) -> None:
        load = self.shared.load.step
        if load >= LoadStep.SESSIONS:
            raise ServerFull(load.message)
        settings, viewers = self.shared.settings, self.viewers
        if offer.input is InputKind.FEED:
            if viewers >= settings.viewers:
                raise ServerFull(f"all {settings.viewers} places for viewers are taken")
        elif len(self._live) - viewers >= settings.sessions:
            raise ServerFull(f"all {settings.sessions} sessions are taken")


async def _live(session: Session, answered: asyncio.Future[RTCSessionDescription]) -> None:
    """Answer, then run: one task, so that nothing is left when either fails or is cancelled."""
    log_as(session=session.name)
    try:
        answered.set_result(await session.answer())
        await session.run()
    except Exception as problem:
        if answered.done():
            raise
        answered.set_exception(problem)
    finally:
        await session.close()
        answered.cancel()
