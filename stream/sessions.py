"""All live sessions of a server: so many and no more, and none left when it stops."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple, Self

from aiortc import RTCSessionDescription

from stream.analyses import Analyses
from stream.caption_service import CaptionService
from stream.ice import MediaAddresses
from stream.kept_frames import FrameGone
from stream.offer import Offer
from stream.prompt_jitter import deliver_promptly
from stream.session import Session
from stream.settings import StreamSettings
from stream.surroundings import Surroundings

_PAINTERS = 2


class _Live(NamedTuple):
    session: Session
    task: asyncio.Task[None]


class ServerFull(RuntimeError):
    """As many sessions are live as may be."""

    retry_after_s = 10


class Sessions:
    """Accepts offers and keeps their sessions; an asynchronous context manager."""

    def __init__(self, settings: StreamSettings, captions: CaptionService, host: str) -> None:
        """Accept sessions whose media may use the addresses of `host`."""
        deliver_promptly()
        self._settings = settings
        self._live: dict[str, _Live] = {}
        self.analyses = Analyses(captions, settings)
        """Those that clients of the sessions asked for, whether still connected or not."""
        self._shared = Surroundings(
            settings=settings,
            captions=captions,
            analyses=self.analyses,
            addresses=MediaAddresses(host),
            painting=ThreadPoolExecutor(_PAINTERS, "painting"),
            sampling=ThreadPoolExecutor(1, "sampling"),
            studying=ThreadPoolExecutor(1, "studying"),
        )

    def __len__(self) -> int:
        return len(self._live)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def accept(self, offer: Offer) -> tuple[str, RTCSessionDescription]:
        """Start a session; return its id and the answer.

        Raises:
            ServerFull: If there are as many sessions as may be.
            OfferError: If the offer cannot be answered.
        """
        if len(self._live) >= self._settings.sessions:
            raise ServerFull(f"all {self._settings.sessions} sessions are taken")
        session = Session(offer, self._shared)
        answered: asyncio.Future[RTCSessionDescription] = asyncio.Future()
        task = asyncio.create_task(_live(session, answered), name=f"session {session.name}")
        self._live[session.id] = _Live(session, task)
        task.add_done_callback(lambda _: self._live.pop(session.id))
        return session.id, await asyncio.shield(answered)

    async def picture(self, stream: str, seq: int) -> bytes:
        """Give the picture of a caption, as a JPEG: what the caption speaks of, with nothing on it.

        Args:
            stream: The session's id.
            seq: The caption's number; it is the frozen one, or one of the last few.

        Raises:
            FrameGone: If there is no such session, or it does not keep the picture any more.
        """
        if stream not in self._live:
            raise FrameGone("there is no such stream any more: connect again")
        return await self._live[stream].session.frames.find(seq).jpeg()

    async def close(self) -> None:
        """End every session and every analysis, and free what they share."""
        tasks = [live.task for live in self._live.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.analyses.close()
        self._shared.painting.shutdown(wait=False)
        self._shared.sampling.shutdown(wait=False)
        self._shared.studying.shutdown(wait=False)
        self._shared.addresses.release()


async def _live(session: Session, answered: asyncio.Future[RTCSessionDescription]) -> None:
    """Answer, then run: one task, so that nothing is left when either fails or is cancelled."""
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
