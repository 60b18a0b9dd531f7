"""The data channel `captions`: what comes in is checked, what goes out never piles up."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

from aiortc import RTCDataChannel
from aiortc.exceptions import InvalidStateError

from stream.data_channel.messages import MessageError, parse
from stream.rate_limit import RateLimit
from stream.settings import StreamSettings

LABEL = "captions"


_MOST_BUFFERED_BYTES = 64 * 1024
"""With more than this unsent the client is too slow, and what comes by itself is dropped."""


_MOST_BUFFERED_ERRORS_BYTES = 2 * _MOST_BUFFERED_BYTES
"""The same of errors, which are small and few."""


_PATIENCE_S = 5.0
"""How long what was asked for waits for a slow client."""


logger = logging.getLogger(__name__)


class CaptionChannel:
    """One client's channel, from its opening to its end."""

    def __init__(
        self,
        channel: RTCDataChannel,
        settings: StreamSettings,
        receive: Callable[[dict[str, Any]], None],
    ) -> None:
        """Hand each well-formed message of the client to `receive`."""
        self._channel, self._settings, self._receive = channel, settings, receive
        self._messages = RateLimit(settings.messages_per_s)
        self._refusals = RateLimit(1)
        self._drained = asyncio.Event()
        channel.bufferedAmountLowThreshold = _MOST_BUFFERED_BYTES
        channel.on("bufferedamountlow", self._drained.set)
        channel.on("message", self._on_message)

    def send(self, message: dict[str, Any]) -> bool:
        """Send a message, unless the client is gone or far behind; say whether it was sent."""
        return self._send(message, _MOST_BUFFERED_BYTES)

    async def answer(self, message: dict[str, Any]) -> bool:
        """Send what was asked for, once a client that is behind has caught up.

        Returns:
            Whether it was sent: not if the client is gone, or does not catch up in some seconds.
        """
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while self._channel.bufferedAmount > _MOST_BUFFERED_BYTES:
                    self._drained.clear()
                    await self._drained.wait()
        except TimeoutError:
            return False
        return self.send(message)

    def error(self, code: str, text: str, asked: int | None = None) -> None:
        """Tell the client what went wrong, with the id of what it had asked, if it had."""
        message = {"type": "error", "code": code, "message": text}
        self._send(
            message if asked is None else {**message, "id": asked}, _MOST_BUFFERED_ERRORS_BYTES
        )

    def _send(self, message: dict[str, Any], most_buffered_bytes: int) -> bool:
        if self._channel.readyState != "open":
            return False
        if self._channel.bufferedAmount > most_buffered_bytes:
            return False
        try:
            self._channel.send(json.dumps(message))
        except (InvalidStateError, ConnectionError):
            return False
        return True

    def _on_message(self, text: str | bytes) -> None:
        try:
            self._check(text)
            self._receive(parse(text))
        except MessageError as problem:
            # Who sends nonsense quickly gets few answers: they must not pile up either.
            if self._refusals.take():
                self.error(problem.code, str(problem), problem.asked)

    def _check(self, text: str | bytes) -> None:
        if not self._messages.take():
            most = self._settings.messages_per_s
            raise MessageError("too-fast", f"send {most:g} messages a second at most")
        size = len(text.encode() if isinstance(text, str) else text)
        if size > self._settings.message_bytes:
            most_bytes = self._settings.message_bytes
            raise MessageError("too-large", f"a message may have {most_bytes} bytes, not {size}")
