"""Summaries of the last whole hour of each stream, for a sink that keeps the latest."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Container

from stream.history import History, HistoryBusy, HistoryError, HistoryQuery, summary_text
from stream.history.summaries import Summary
from stream.publishing import Publications
from stream.quota import QuotaExceeded

_HOUR_S = 3600.0

_SETTLING_S = 15.0
"""Time after the hour until all of its captions are stored."""

_RETRY_S = 60.0

logger = logging.getLogger(__name__)


class HourlySummaries:
    """Reads the summary of each whole hour (of UTC) from the history, soon after the hour."""

    def __init__(self, history: History) -> None:
        """Start without summaries; call `run` next.

        Args:
            history: Where the captions are stored.
        """
        self._history = history
        self._begin: float | None = None
        self._latest: dict[str, str] = {}
        """The summary of each stream of the hour that begins then, as JSON."""
        self._waiting: dict[str, str] = {}
        """Those that the sink does not have yet."""

    async def run(self, publications: Publications, on_change: Callable[[], None]) -> None:
        """Read summaries until cancelled, those of the last hour at once. All are to be sent.

        Args:
            publications: The streams; those without captions get a summary that says so.
            on_change: Called when there are new summaries.
        """
        while True:
            begin = (time.time() - _SETTLING_S) // _HOUR_S * _HOUR_S - _HOUR_S
            try:
                if begin != self._begin:
                    names = {each.name for each in publications.all()}
                    self._latest = await self._read(begin, names)
                    self._begin = begin
            except (HistoryBusy, HistoryError, QuotaExceeded) as problem:
                logger.warning("the summaries of the last hour are late: %s", problem)
                await asyncio.sleep(_RETRY_S)
                continue
            self._waiting = dict(self._latest)
            on_change()
            await asyncio.sleep(begin + 2 * _HOUR_S + _SETTLING_S - time.time())

    def take(self, names: Container[str]) -> tuple[str, str] | None:
        """Remove a summary that the sink does not have yet.

        Args:
            names: The streams whose summaries are wanted now.

        Returns:
            The stream's name and the summary as JSON; None if there is none.
        """
        name = next((name for name in self._waiting if name in names), None)
        return None if name is None else (name, self._waiting.pop(name))

    def put_back(self, name: str, body: str) -> None:
        """Keep a summary that the sink could not send, unless there is a newer one."""
        self._waiting.setdefault(name, body)

    async def _read(self, begin: float, names: set[str]) -> dict[str, str]:
        end = begin + _HOUR_S
        body = await self._history.summary(HistoryQuery(begin=begin, end=end))
        summaries = {name: Summary(name, begin, end).to_json() for name in names}
        for each in body["feeds"]:
            del each["hours"]
            summaries[each["feed"]] = each
        return {
            name: json.dumps({**summary, "text": summary_text(summary)})
            for name, summary in summaries.items()
        }
