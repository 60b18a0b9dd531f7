"""Analyses that run in media processes, found by their tokens."""

import asyncio
from typing import Any, Protocol

from stream.analyses import AnalysisNotFound
from stream.media.channel import Answer, ChannelClosed
from stream.media.slot import Slot


class Running(Protocol):
    """The slots whose process runs."""

    @property
    def running(self) -> list[Slot]:
        """Those slots."""


class RemoteAnalyses:
    """The analyses of all media processes.

    A token is found by asking each of them: requests are rare, and processes are few.
    """

    def __init__(self, processes: Running) -> None:
        """Find analyses in these processes."""
        self._processes = processes

    async def describe(self, token: str) -> dict[str, Any]:
        """Return `analysis` of `schema.json`; raises AnalysisNotFound."""
        return (await self._request("analysis", token)).values

    async def discard(self, token: str) -> None:
        """Cancel an analysis, or delete its result; raises AnalysisNotFound."""
        await self._request("discard_analysis", token)

    async def read_file(self, token: str, name: str) -> bytes:
        """Return a file of an analysis; raises AnalysisNotFound or AnalysisFileNotFound."""
        return (await self._request("analysis_file", token, file=name)).payload

    async def _request(self, name: str, token: str, **values: Any) -> Answer:
        slots = self._processes.running
        results = await asyncio.gather(
            *(slot.request(name, token=token, **values) for slot in slots), return_exceptions=True
        )
        missing: BaseException = AnalysisNotFound(
            "this analysis does not exist or is no longer kept; its process may have stopped"
        )
        for result in results:
            if isinstance(result, Answer):
                return result
            if isinstance(result, AnalysisNotFound):
                missing = result
            elif not isinstance(result, ChannelClosed):
                raise result
        raise missing
