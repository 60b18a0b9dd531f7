"""The data channel `captions`: incoming messages are validated, outgoing ones never pile up."""

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

_MAX_BUFFERED_BYTES = 64 * 1024
"""With more than this unsent the client is too slow, and unsolicited messages are dropped."""

_MAX_BUFFERED_ERROR_BYTES = 2 * _MAX_BUFFERED_BYTES
"""The same for errors, which are small and few."""

_RESPONSE_TIMEOUT_S = 5.0
"""How long a response waits for a slow client."""

_ERRORS_PER_S = 1.0
"""Errors about invalid messages per second; further ones are not sent."""

logger = logging.getLogger(__name__)


class CaptionChannel:
    """One client's data channel, from its opening to its end."""

    def __init__(
        self,
        channel: RTCDataChannel,
        settings: StreamSettings,
        on_message: Callable[[dict[str, Any]], None],
    ) -> None:
        """Receive messages from now on.

        Args:
            channel: An open channel.
            settings: Limits of the messages.
            on_message: Called with each valid message of the client.
        """
        self._channel, self._settings, self._on_message = channel, settings, on_message
        self._message_limit = RateLimit(settings.messages_per_s)
        self._error_limit = RateLimit(_ERRORS_PER_S)
        self._drained = asyncio.Event()
        channel.bufferedAmountLowThreshold = _MAX_BUFFERED_BYTES
        channel.on("bufferedamountlow", self._drained.set)
        channel.on("message", self._on_text)

    def send(self, message: dict[str, Any]) -> bool:
        """Send a message unless the client is gone or too slow; return whether it was sent."""
        return self._send(message, _MAX_BUFFERED_BYTES)

    async def respond(self, message: dict[str, Any]) -> bool:
        """Send a response, once a slow client has caught up.

        Returns:
            Whether it was sent: not if the client is gone, or does not catch up within 5 s.
        """
        try:
            async with asyncio.timeout(_RESPONSE_TIMEOUT_S):
                while self._channel.bufferedAmount > _MAX_BUFFERED_BYTES:
                    self._drained.clear()
                    await self._drained.wait()
        except TimeoutError:
            return False
        return self.send(message)

    def send_error(self, code: str, message: str, request_id: int | None = None) -> None:
        """Send an error, with the id of the request that failed, if there is one."""
        error = {"type": "error", "code": code, "message": message}
        self._send(
            error if request_id is None else {**error, "id": request_id}, _MAX_BUFFERED_ERROR_BYTES
        )

    def _send(self, message: dict[str, Any], max_buffered_bytes: int) -> bool:
        if self._channel.readyState != "open":
            return False
        if self._channel.bufferedAmount > max_buffered_bytes:
            return False
        try:
            self._channel.send(json.dumps(message))
        except (InvalidStateError, ConnectionError):
            return False
        return True

    def _on_text(self, text: str | bytes) -> None:
        try:
            self._check_limits(text)
            self._on_message(parse(text))
        except MessageError as error:
            # Limited, so that a flood of invalid messages does not cause a flood of errors.
            if self._error_limit.take():
                self.send_error(error.code, str(error), error.request_id)

    def _check_limits(self, text: str | bytes) -> None:
        if not self._message_limit.take():
            limit = self._settings.messages_per_s
            raise MessageError("too-fast", f"too many messages; send at most {limit:g} per second")
        size = len(text.encode() if isinstance(text, str) else text)
        if size > self._settings.message_bytes:
            limit_bytes = self._settings.message_bytes
            raise MessageError(
                "too-large", f"the message has {size} bytes; send at most {limit_bytes}"
            )
