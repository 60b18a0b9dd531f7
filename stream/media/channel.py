"""The channel between the front and a media process: requests with answers, and notices.

Both ends send messages as the engine's (`inference.engine.messages`): JSON and a payload. What the
front sends may be pickled, as the media process trusts it; what a media process sends is JSON and
plain bytes, as it reads what clients send.
"""

import asyncio
import contextlib
import itertools
import logging
import pickle
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from inference.engine.messages import pack, read
from stream.analyses import AnalysisFileNotFound, AnalysisNotFound
from stream.captioning import FrameNotFound
from stream.ice import FragmentError, IceRestart
from stream.publishing import NameTaken, NoSuchStream
from stream.quota import QuotaExceeded, ShareExceeded
from stream.webrtc import OfferError, ServerFull, SessionGone

_MAX_QUEUED_BYTES = 4 * 2**20
"""Bytes that may wait for the other end before notices that can be spared are dropped."""

_ERRORS: dict[str, type[Exception]] = {
    each.__name__: each
    for each in (
        AnalysisFileNotFound,
        AnalysisNotFound,
        FragmentError,
        FrameNotFound,
        IceRestart,
        NameTaken,
        NoSuchStream,
        QuotaExceeded,
        ServerFull,
        SessionGone,
        ShareExceeded,
    )
}
"""Exceptions of a message that one end raises and the other receives."""

logger = logging.getLogger(__name__)


class ChannelClosed(RuntimeError):
    """The other end has gone, or failed to answer a request."""


class Answer(NamedTuple):
    """The answer to a request."""

    values: dict[str, Any]
    """JSON values."""
    payload: bytes


NOTHING = Answer({}, b"")
"""The answer to a request that was carried out."""

Handler = Callable[[str, dict[str, Any], bytes], Awaitable[Answer]]
"""Answers a request, given by its name, values and payload."""

Listener = Callable[[str, dict[str, Any], bytes], None]
"""Receives a notice; called in the order in which notices and answers were sent."""


class Channel:
    """One end of the channel; `serve` it until the other end closes."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: Handler,
        on_notice: Listener,
    ) -> None:
        """Use a connection that is open.

        Args:
            reader: Of the connection.
            writer: Of the connection.
            answer: Answers the requests of the other end, each in a task of its own.
            on_notice: Receives its notices.
        """
        self._reader, self._writer = reader, writer
        self._answer, self._on_notice = answer, on_notice
        self._numbers = itertools.count()
        self._pending: dict[int, asyncio.Future[Answer]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self.received = 0
        """Number of messages received."""

    async def serve(self) -> None:
        """Handle messages until the other end closes the connection or is gone."""
        try:
            while True:
                self._receive(*await read(self._reader))
        except (EOFError, OSError):
            pass
        finally:
            await self.close()

    async def request(self, name: str, payload: bytes = b"", **values: Any) -> Answer:
        """Send a request, and return its answer.

        Raises:
            ChannelClosed: If the other end is gone, or failed unexpectedly.
            Exception: One of those that the other end may answer with.
        """
        if self._is_closed:
            raise ChannelClosed("the process has ended")
        number = next(self._numbers)
        pending: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._pending[number] = pending
        self._send({"type": "request", "number": number, "name": name, "values": values}, payload)
        try:
            return await pending
        finally:
            self._pending.pop(number, None)

    def notify(
        self, name: str, payload: bytes = b"", *, spare: bool = False, **values: Any
    ) -> None:
        """Send a notice, which has no answer.

        Args:
            name: Of the notice.
            payload: Of the notice.
            spare: Whether it may be dropped if the other end is slow.
            values: JSON values.
        """
        queued = self._writer.transport.get_write_buffer_size()
        if not self._is_closed and not (spare and queued > _MAX_QUEUED_BYTES):
            self._send({"type": "notice", "name": name, "values": values}, payload)

    async def close(self) -> None:
        """Close the connection; requests that wait for an answer fail."""
        self._is_closed = True
        for pending in self._pending.values():
            if not pending.done():
                pending.set_exception(ChannelClosed("the process has ended"))
                # The requester may have been cancelled.
                pending.exception()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Not closed, which would wait for a process that has hung to read what is left.
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def _send(self, message: dict[str, Any], payload: bytes) -> None:
        self._writer.write(pack(message, payload))

    def _receive(self, message: dict[str, Any], payload: bytes) -> None:
        self.received += 1
        match message["type"]:
            case "request":
                task = asyncio.create_task(self._respond(message, payload), name="media request")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case "notice":
                try:
                    self._on_notice(message["name"], message["values"], payload)
                except Exception:
                    logger.exception("a notice was not handled: %s", message["name"])
            case "answer":
                pending = self._pending.get(message["number"])
                if pending and not pending.done():
                    pending.set_result(Answer(message["values"], payload))
            case "failed":
                pending = self._pending.get(message["number"])
                if pending and not pending.done():
                    pending.set_exception(_read_error(message["error"]))

    async def _respond(self, message: dict[str, Any], payload: bytes) -> None:
        number = message["number"]
        try:
            values, content = await self._answer(message["name"], message["values"], payload)
        except Exception as problem:
            error = _error_json(problem)
            if error is None:
                logger.exception("a request failed: %s", message["name"])
                error = {"kind": "", "message": "something went wrong; see the server's log"}
            self._send({"type": "failed", "number": number, "error": error}, b"")
        else:
            self._send({"type": "answer", "number": number, "values": values}, content)


def pickled(*values: Any) -> bytes:
    """Return values as a payload for a media process."""
    return pickle.dumps(values)


def unpickled(payload: bytes) -> Any:
    """Return the values of a payload of the front."""
    return pickle.loads(payload)


def _error_json(problem: Exception) -> dict[str, Any] | None:
    if isinstance(problem, OfferError):
        return {"kind": "OfferError", "code": problem.code, "message": str(problem)}
    kind = type(problem).__name__
    return {"kind": kind, "message": str(problem)} if _ERRORS.get(kind) else None


def _read_error(error: dict[str, Any]) -> Exception:
    if error["kind"] == "OfferError":
        return OfferError(error["code"], error["message"])
    return _ERRORS.get(error["kind"], ChannelClosed)(error["message"])
