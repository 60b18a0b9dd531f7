"""Offers against the faces that answer them, in this process: many, quickly."""

import asyncio
import time

from stream.context import Surroundings
from stream.publishing.publications import Publications
from stream.webrtc.offer import Offer, OfferError
from stream.webrtc.session import Session
from tests.fuzz.faults import Fault

_SDP_BYTES = 65_536
_MOST_CPU_S = 2.0
"""Of this process, to read an offer and answer it."""
_MOST_S = 30.0


class Answering:
    """Answers offers, and counts what became of them."""

    def __init__(self, shared: Surroundings) -> None:
        """Answer with what sessions share."""
        self._shared = shared
        self.answered = self.refused = 0

    async def check(self, sdp: str, source: str) -> None:
        """Offer something; it has to be answered or refused, in bounded time.

        Raises:
            Fault: If it takes too long.
        """
        used = time.process_time()
        try:
            async with asyncio.timeout(_MOST_S):
                await self._answer({"sdp": sdp, "type": "offer", "source": source})
        except TimeoutError as problem:
            raise Fault(f"no answer in {_MOST_S} s") from problem
        if (used := time.process_time() - used) > _MOST_CPU_S:
            raise Fault(f"it took {used:.1f} s of CPU time")

    async def _answer(self, body: dict[str, str]) -> None:
        try:
            offer = Offer.read(body, _SDP_BYTES)
            session = Session(offer, self._shared, Publications(), may_analyse=True)
            try:
                answer = await session.answer()
            finally:
                await session.close()
        except OfferError:
            self.refused += 1
            return
        if not answer.sdp.startswith("v=0") or answer.type != "answer":
            raise Fault(f"answered with {answer}")
        self.answered += 1
