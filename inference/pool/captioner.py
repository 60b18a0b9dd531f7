"""The caption service of a pool: sends frames to replicas on other machines, over HTTP.

Any address of the pool lists its replicas. Frames go straight to the least busy one; through a
proxy of Ray Serve, which takes longer, only to replicas that cannot be reached from here.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.captioning import Caption, FrameRequest, FrameResult, StreamState
from inference.engine import (
    AnalysisKind,
    AnalysisResult,
    EngineBusy,
    EngineInfo,
    EngineState,
    EngineUnavailable,
    ExplanationResult,
    FrameTooOld,
)
from inference.engine.messages import Message, pack, split
from inference.explanations import Check, Map, Target
from inference.pool.address import Address, AddressError
from inference.pool.codec import (
    AnalyseRequest,
    CheckRequest,
    ExplainRequest,
    ServiceRequest,
    caption_request,
    shapes_of,
)
from inference.pool.directory import ReplicaAddress
from inference.pool.health import PoolHealth, no_answer
from inference.pool.replicas import ReplicaCounts
from inference.progress import Progress, ProgressCallback

_ATTEMPTS = 3
"""Of a request, each at another address if there is one: a lost machine may take the proxy of the
first with it, and the replica of the second. Requests change nothing at a replica, so repeating one
does no harm."""


class PoolCaptioner:
    """Captions by the replicas of a pool; needs no TensorFlow and no Ray.

    A stream has one frame in flight at most, so that the newest frame wins. A request whose replica
    is lost is repeated, twice at most, as long as its frame is fresh.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        secret: str | None = None,
        max_wait_s: float | None = 2.0,
        max_failures: int | None = None,
        direct: bool = True,
        insecure: bool = False,
        poll_s: float = 1.0,
    ) -> None:
        """Prepare to caption; `start` opens the connections.

        Args:
            addresses: See `Address`. If no replica can be reached without them, requests go to that
                with the fewest in flight of those that answer.
            secret: What the pool asks for, if anything.
            max_wait_s: Seconds after which a frame that no replica has taken is dropped as too old;
                unlimited if None.
            max_failures: After so many rounds in a row without an answer it gives up. Unlimited if
                None.
            direct: Whether to connect to the replicas that an address lists.
            insecure: Whether frames and secret may go to replicas on other machines, which is
                unencrypted.
            poll_s: Seconds between two questions for the state of each address and replica.
        """
        self._names, self._secret, self._max_wait_s = addresses, secret, max_wait_s
        self._direct, self._insecure = direct, insecure
        self._health = PoolHealth(poll_s, max_failures, self._connect)
        self.replicas = ReplicaCounts()

    @property
    def state(self) -> EngineState:
        """Whether captions are available now."""
        return self._health.state

    @property
    def message(self) -> str:
        """Why captions are not available, for people; empty when they are."""
        return self._health.message

    @property
    def info(self) -> EngineInfo | None:
        """The captioner's properties; None until the pool has answered."""
        return self._health.info

    def start(self) -> None:
        """Connect to the pool, and watch its state from now on."""
        self._health.start([Address(each, self._secret) for each in self._names])

    def _connect(self, replica: ReplicaAddress) -> Address | None:
        if not self._direct or not replica.is_allowed(insecure=self._insecure):
            return None
        return Address(replica.url, self._secret, replica.name)

    async def stop(self) -> None:
        """Close all connections; requests in flight fail."""
        await self._health.stop()

    async def wait_ready(self) -> None:
        """Wait until a frame can be sent.

        Raises:
            EngineUnavailable: If the pool was given up, with `max_failures`.
        """
        await self._health.wait_ready()

    async def wait_loaded(self) -> None:
        """Wait for the first answer of the pool.

        Raises:
            EngineUnavailable: If no address answers; the message gives the reason.
        """
        await self._health.wait_first()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a listener at each change of the state; return a function that unsubscribes it."""
        return self._health.subscribe(listener)

    async def caption_frame(
        self, request: FrameRequest, beam_width: int | None = None
    ) -> FrameResult:
        """Caption the next frame of a stream at any replica.

        Args:
            request: The frame, and the state that came with the stream's last caption.
            beam_width: The captioner's own when None.

        Raises:
            FrameTooOld: If it waited for too long.
            EngineUnavailable: If no replica answers.
            ValueError: If the captioner rejects the image or the beam width.
        """
        begun = time.perf_counter()
        limit_s = request.max_wait_s
        if limit_s is None and not request.background:
            limit_s = self._max_wait_s

        def body() -> bytes:
            left_s = None if limit_s is None else limit_s - (time.perf_counter() - begun)
            if left_s is not None and left_s <= 0:
                raise FrameTooOld("the frame waited for too long; a newer one is due")
            return _pack(caption_request(request, beam_width, left_s), [request.image])

        try:
            message, _ = await self._send(body, None)
        except EngineUnavailable as problem:
            too_old = isinstance(problem, FrameTooOld)
            self.replicas.failures["too old" if too_old else "unavailable"] += 1
            raise
        result = FrameResult(
            Caption.from_json(message["caption"]), StreamState.from_json(message["state"])
        )
        timing = result.caption.timing_ms
        took_s = (timing.encoder + timing.decoder + timing.maps + timing.endpoint) / 1e3
        wait_s = max(0.0, time.perf_counter() - begun - took_s)
        self.replicas.count_caption(timing.replica, wait_s)
        return result

    async def explain(
        self,
        image: NDArray[np.uint8],
        tokens: tuple[int, ...],
        method: str,
        target: Target,
        progress: ProgressCallback | None = None,
        *,
        live: bool = False,
        before_requests: Callable[[int], Awaitable[None]] | None = None,
    ) -> ExplanationResult:
        """Explain a caption at any replica; see `inference.engine.Engine` for the arguments.

        Args:
            image: As for `Engine`.
            tokens: As for `Engine`.
            method: As for `Engine`.
            target: As for `Engine`.
            progress: As for `Engine`.
            live: As for `Engine`.
            before_requests: Called with the number of requests that the explanation sends to
                another server; if it raises, none is sent.

        Raises the same as `Engine`, and what `before_requests` raises.
        """
        allowed = 0 if before_requests else None
        while True:
            request = ExplainRequest(
                shapes=shapes_of([image]),
                tokens=tokens,
                method=method,
                target=target.to_json(),
                live=live,
                requests=allowed,
            )
            message, _ = await self._send_job(request, [image], progress)
            if message["type"] != "requests":
                return ExplanationResult(Map.from_json(message["map"]), message["took_ms"])
            # Only the replica knows the number, and it began nothing.
            assert before_requests is not None
            await before_requests(message["count"] - (allowed or 0))
            allowed = message["count"]

    async def check(
        self,
        image: NDArray[np.uint8],
        tokens: tuple[int, ...],
        method: str,
        index: int,
        progress: ProgressCallback | None = None,
    ) -> Check:
        """Check a word's map at any replica; arguments and errors are those of `Engine`."""
        request = CheckRequest(shapes=shapes_of([image]), tokens=tokens, method=method, index=index)
        message, _ = await self._send_job(request, [image], progress)
        return Check.from_json(message["check"])

    async def analyse(
        self,
        kind: AnalysisKind,
        image: NDArray[np.uint8],
        tokens: tuple[int, ...],
        params: Mapping[str, Any],
        frames: Sequence[NDArray[np.uint8]] = (),
        progress: ProgressCallback | None = None,
    ) -> AnalysisResult:
        """Analyse a caption at any replica; arguments and errors are those of `Engine`."""
        images = [image, *frames]
        request = AnalyseRequest(
            shapes=shapes_of(images), tokens=tokens, kind=kind, params=dict(params)
        )
        message, payload = await self._send_job(request, images, progress)
        files = zip(message["files"], split(payload, message["files"].values()), strict=True)
        return AnalysisResult(dict(files), tuple(message["summary"]), message["took_ms"])

    async def _send_job(
        self,
        request: ServiceRequest,
        images: Sequence[NDArray[np.uint8]],
        progress: ProgressCallback | None,
    ) -> Message:
        # In a thread: joining many images would block the event loop for milliseconds.
        body = await asyncio.to_thread(_pack, request, images)
        return await self._send(lambda: body, progress and _never_falling(progress))

    async def _send(self, body: Callable[[], bytes], progress: ProgressCallback | None) -> Message:
        """Send a request, and again if its replica is lost; return its result.

        Args:
            body: Returns the request, or raises an exception if it is no longer of use.
            progress: Called with its progress.
        """
        failed: list[Address] = []
        reason = self.message
        for _ in range(_ATTEMPTS):
            address = self._health.choose(failed)
            if address is None:
                break
            sent = body()
            self.replicas.failures["repeated"] += bool(failed)
            try:
                message, payload = await address.request(sent, progress)
            except AddressError as problem:
                self._health.suspect(address)
                failed.append(address)
                reason = no_answer(str(problem))
                continue
            self.replicas.routes["direct" if address.is_direct else "proxy"] += 1
            if message["type"] != "failed":
                return message, payload
            reason = message["message"]
            match message["why"]:
                case "invalid":
                    raise ValueError(reason)
                case "busy":
                    raise EngineBusy(reason)
                case "too old":
                    raise FrameTooOld(reason)
            failed.append(address)
        raise EngineUnavailable(reason or self.message)


def _pack(request: ServiceRequest, images: Sequence[NDArray[np.uint8]]) -> bytes:
    return pack(request.model_dump(), b"".join(image.tobytes() for image in images))


def _never_falling(progress: ProgressCallback) -> ProgressCallback:
    """Leave out progress that falls, as when a job starts again at another replica."""
    most = 0.0

    def report(at: Progress) -> None:
        nonlocal most
        if at.done >= most:
            most = at.done
            progress(at)

    return report
