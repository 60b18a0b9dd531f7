"""The log of captions for the webhook: each caption is sent once, whichever server sends it.

The database has how far the sending is, so that the next server goes on there. What a server has
sent, but not noted before it died, is sent again: the receiver recognises it by its delivery id.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from stream.captioning import CaptionEvent
from stream.cluster.connection import DatabaseConnection, DatabaseUnavailable
from stream.cluster.event_log import EventReader, LoggedEvent
from stream.publishing.sinks import WEBHOOK_QUEUE_SIZE, WebhookSink

_POLL_S = 1.0
_STORE_INTERVAL_S = 1.0
"""How often to note captions that were not sent, since they repeat the last one."""

_NAME = "webhook"

_LOAD = "SELECT cursors FROM cluster_sinks WHERE name = %s"
_STORE = """
INSERT INTO cluster_sinks AS sink (name, token, cursors) VALUES (%s, %s, %s::jsonb)
ON CONFLICT (name) DO UPDATE SET token = excluded.token, cursors = excluded.cursors
WHERE sink.token <= excluded.token
"""
_LAST = """
SELECT DISTINCT ON (stream) body FROM cluster_events AS event
JOIN unnest(%s::text[], %s::bigint[]) AS sent (origin, seq)
    ON event.origin = sent.origin AND event.seq <= sent.seq
ORDER BY stream, position DESC
"""

Deliver = Callable[[CaptionEvent], Awaitable[None]]


class WebhookLog:
    """Sends the captions of all servers from the log, while this server has the lease."""

    def __init__(self, connection: DatabaseConnection, webhook: WebhookSink, token: int) -> None:
        """Prepare to send.

        Args:
            connection: A connection to the database.
            webhook: The webhook.
            token: Token of the lease.
        """
        self._webhook, self._token, self._connection = webhook, token, connection
        self._reader = EventReader(connection)
        self._pending: deque[tuple[LoggedEvent, bool]] = deque()
        """Captions that were read, and whether to send each."""
        self._sent: dict[str, int] | None = None
        """Number of the last caption of each server that is done with; None before the start."""
        self._stored_at = 0.0
        self._due = asyncio.Event()

    def hurry(self) -> None:
        """Read the log soon: there are new captions."""
        self._due.set()

    async def run(self) -> None:
        """Send until cancelled."""
        async with self._webhook.opened() as deliver:
            while True:
                try:
                    if self._sent is None:
                        self._sent = await self._start()
                    while True:
                        await self._send_pending(deliver, self._sent)
                        await self._read()
                except DatabaseUnavailable:
                    await asyncio.sleep(_POLL_S)

    async def _send_pending(self, deliver: Deliver, sent: dict[str, int]) -> None:
        while self._pending:
            each, is_chosen = self._pending[0]
            if is_chosen:
                await deliver(each.event)
            self._pending.popleft()
            sent[each.origin] = each.seq
            if is_chosen or time.monotonic() - self._stored_at > _STORE_INTERVAL_S:
                await self._store(sent)

    async def _read(self) -> None:
        """Read the next captions; wait a moment if there are none."""
        self._due.clear()
        events = await self._reader.read()
        chosen = [self._webhook.selects(each.event) for each in events]
        excess = max(0, sum(chosen) - WEBHOOK_QUEUE_SIZE)
        self._webhook.skipped += excess
        for each, is_chosen in zip(events, chosen, strict=True):
            self._pending.append((each, is_chosen and excess <= 0))
            excess -= is_chosen
        if not events:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._due.wait()

    async def _start(self) -> dict[str, int]:
        """Return how far an earlier server has sent, or the end of the log."""
        rows = await self._connection.fetch(_LOAD, (_NAME,))
        if rows:
            sent = {str(origin): int(seq) for origin, seq in rows[0][0].items()}
        else:
            await self._reader.start_at_end()
            sent = dict(self._reader.cursors)
        self._reader.cursors = dict(sent)
        last = await self._connection.fetch(_LAST, (list(sent), list(sent.values())))
        for (body,) in last:
            # The filter remembers them.
            with suppress(ValueError, KeyError, TypeError):
                self._webhook.selects(CaptionEvent.from_json(json.loads(body)))
        await self._store(sent)
        return sent

    async def _store(self, sent: dict[str, int]) -> None:
        await self._connection.fetch(_STORE, (_NAME, self._token, json.dumps(sent)))
        self._stored_at = time.monotonic()
