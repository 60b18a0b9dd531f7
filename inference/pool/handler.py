"""Answers to the requests of pool clients by a caption service, whatever the HTTP library."""

import asyncio
import hmac
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import replace
from http import HTTPStatus

import numpy as np
from numpy.typing import NDArray

from inference.captioning import FrameRequest
from inference.engine import CaptionService, EngineBusy, EngineUnavailable, FrameTooOld
from inference.engine.messages import pack
from inference.explanations import Target
from inference.pool.codec import (
    MAX_REQUEST_BYTES,
    PROTOCOL,
    AnalyseRequest,
    CaptionRequest,
    CheckRequest,
    ExplainRequest,
    Failure,
    MalformedRequest,
    ServiceRequest,
    read_request,
)
from inference.pool.directory import ReplicaAddress
from inference.progress import Progress, ProgressCallback

ALIVE_INTERVAL_S = 0.5
"""Between two signs of life of a request that takes long."""

_MAX_UPDATES = 16
"""Progress that waits to be sent; older progress is dropped."""

logger = logging.getLogger(__name__)

_Work = Callable[[ProgressCallback], Awaitable[bytes]]
"""The work of a request: reports its progress, and returns the message with the result."""


class Refusal(Exception):
    """A request is not answered; the message says why and what to do."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        """Refuse with a status of HTTP."""
        super().__init__(reason)
        self.status = status


class _NeedsRequests(Exception):
    """An explanation would cause more requests to another server than its client allowed."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


class CaptionHandler:
    """Answers requests by one caption service, which others start and stop."""

    in_flight = 0
    """Requests that are being answered."""

    def __init__(
        self,
        service: CaptionService,
        *,
        replica: str = "",
        secret: str | None = None,
        replicas: Callable[[], Sequence[ReplicaAddress]] = tuple,
    ) -> None:
        """Prepare to answer.

        Args:
            service: Captions, explains and analyses.
            replica: Its name among the replicas of a pool.
            secret: What clients must present; None admits whoever can connect.
            replicas: Returns the addresses of all replicas of the pool, for its clients.
        """
        self._service, self._replica, self._replicas = service, replica, replicas
        self._secret = None if secret is None else secret.encode()

    def admit(self, authorization: str | None, protocol: str | None) -> None:
        """Check a request's headers, before its body is read.

        Args:
            authorization: Value of `Authorization`, if it has one.
            protocol: Value of `PROTOCOL_HEADER`, if it has one.

        Raises:
            Refusal: If it must not be answered.
        """
        if self._secret is not None:
            scheme, _, given = (authorization or "").partition(" ")
            # In constant time, so that timing reveals nothing.
            fits = hmac.compare_digest(given.encode("utf-8", "replace"), self._secret)
            if scheme.lower() != "bearer" or not fits:
                raise Refusal(HTTPStatus.UNAUTHORIZED, "the secret of the pool is missing or wrong")
        if protocol != str(PROTOCOL):
            raise Refusal(
                HTTPStatus.NOT_ACCEPTABLE,
                "the pool and its client have different versions of the protocol; run the same "
                "version of Sightline on all machines",
            )

    async def read_body(self, parts: AsyncIterable[bytes]) -> bytes:
        """Join the parts of a request's body.

        Raises:
            Refusal: If it is too large.
        """
        body = bytearray()
        async for part in parts:
            body += part
            if len(body) > MAX_REQUEST_BYTES:
                raise Refusal(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"a request may have {MAX_REQUEST_BYTES} bytes",
                )
        return bytes(body)

    async def state(self) -> bytes:
        """Return the state of the service, as a message."""
        service = self._service
        info = service.info
        message = {
            "type": "state",
            "replica": self._replica,
            "state": service.state,
            "message": service.message,
            "accepts": await _accepts(service),
            "info": info and info.to_json(),
            "load": self.in_flight,
            "replicas": [each.to_json() for each in self._replicas()],
        }
        return pack(message)

    def answer(self, body: bytes) -> AsyncGenerator[bytes, None]:
        """Start to answer a request.

        Returns:
            The messages of the answer; closing the generator cancels the request.

        Raises:
            Refusal: If the request is malformed.
        """
        try:
            return self._stream(self._work_for(*read_request(body)))
        except MalformedRequest as problem:
            raise Refusal(HTTPStatus.BAD_REQUEST, str(problem)) from None

    def _work_for(self, request: ServiceRequest, images: list[NDArray[np.uint8]]) -> _Work:
        """Return the work of a request; raises MalformedRequest."""
        if isinstance(request, CaptionRequest):
            frame = request.frame_request(images[0], self._fingerprint)
            return lambda report: self._caption(frame, request.beam_width)
        if isinstance(request, ExplainRequest):
            target = request.explained()
            return lambda report: self._explain(request, target, images[0], report)
        if isinstance(request, CheckRequest):
            return lambda report: self._check(request, images[0], report)
        return lambda report: self._analyse(request, images, report)

    @property
    def _fingerprint(self) -> str:
        info = self._service.info
        return info.fingerprint if info else ""

    async def _caption(self, frame: FrameRequest, beam_width: int | None) -> bytes:
        caption, state = await self._service.caption_frame(frame, beam_width)
        if self._replica:
            timing = replace(caption.timing_ms, replica=self._replica)
            caption = replace(caption, timing_ms=timing)
        message = {
            "type": "caption",
            "caption": caption.to_json(),
            "state": replace(state, captioner=self._fingerprint).to_json(),
            "load": self.in_flight,
        }
        return pack(message)

    async def _explain(
        self,
        request: ExplainRequest,
        target: Target,
        image: NDArray[np.uint8],
        report: ProgressCallback,
    ) -> bytes:
        async def before_requests(count: int) -> None:
            if request.requests is not None and count > request.requests:
                raise _NeedsRequests(count)

        result = await self._service.explain(
            image,
            request.tokens,
            request.method,
            target,
            report,
            live=request.live,
            before_requests=before_requests,
        )
        message = {"type": "explanation", "map": result.map.to_json(), "took_ms": result.took_ms}
        return pack(message)

    async def _check(
        self, request: CheckRequest, image: NDArray[np.uint8], report: ProgressCallback
    ) -> bytes:
        check = await self._service.check(
            image, request.tokens, request.method, request.index, report
        )
        return pack({"type": "check", "check": check.to_json()})

    async def _analyse(
        self, request: AnalyseRequest, images: list[NDArray[np.uint8]], report: ProgressCallback
    ) -> bytes:
        image, *frames = images
        result = await self._service.analyse(
            request.kind, image, request.tokens, request.params, frames, report
        )
        message = {
            "type": "analysis",
            "files": {name: len(content) for name, content in result.files.items()},
            "summary": result.summary,
            "took_ms": result.took_ms,
        }
        return pack(message, b"".join(result.files.values()))

    async def _stream(self, work: _Work) -> AsyncGenerator[bytes, None]:
        """Do the work, and yield the messages of its answer."""
        changed = asyncio.Event()
        updates: deque[Progress] = deque(maxlen=_MAX_UPDATES)

        def report(progress: Progress) -> None:
            updates.append(progress)
            changed.set()

        self.in_flight += 1
        task = asyncio.create_task(_outcome(work, report), name="pool request")
        task.add_done_callback(lambda _: changed.set())
        try:
            while not task.done():
                try:
                    async with asyncio.timeout(ALIVE_INTERVAL_S):
                        await changed.wait()
                except TimeoutError:
                    yield pack({"type": "alive"})
                changed.clear()
                while updates:
                    yield pack({"type": "progress", **updates.popleft().to_json()})
            yield task.result()
        finally:
            self.in_flight -= 1
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _outcome(work: _Work, report: ProgressCallback) -> bytes:
    """Do the work, and return the message that ends its answer."""
    try:
        return await work(report)
    except _NeedsRequests as problem:
        return pack({"type": "requests", "count": problem.count})
    except FrameTooOld as problem:
        return _failed("too old", problem)
    except EngineUnavailable as problem:
        return _failed("unavailable", problem)
    except EngineBusy as problem:
        return _failed("busy", problem)
    except ValueError as problem:
        return _failed("invalid", problem)
    except Exception:
        logger.exception("a request failed")
        return _failed("unavailable", "something went wrong at the replica; see its log")


async def _accepts(service: CaptionService) -> bool:
    """Whether a frame can be sent now, also one that tries whether a pause is over."""
    try:
        async with asyncio.timeout(0):
            await service.wait_ready()
    except (TimeoutError, EngineUnavailable):
        return False
    return True


def _failed(why: Failure, problem: object) -> bytes:
    return pack({"type": "failed", "why": why, "message": str(problem)})
