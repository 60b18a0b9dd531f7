"""The caption service that asks an endpoint, in place of the engine and its worker process."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.captioning import (
    Caption,
    Features,
    FrameRequest,
    FrameResult,
    StreamState,
    Timing,
    Word,
)
from inference.captioning.stream_state import feature_distance
from inference.endpoints.answer import UnusableAnswer, read_caption
from inference.endpoints.availability import Availability, Pauses, as_sentence
from inference.endpoints.client import Endpoint, EndpointClient, EndpointError
from inference.endpoints.images import (
    RESIZING,
    check_image,
    data_url,
    digest,
    frame_thumbnail,
)
from inference.endpoints.occlusion import (
    METHOD,
    HiddenRegions,
    hide,
    method_card,
    request_count,
    target_words,
)
from inference.engine import (
    AnalysisKind,
    AnalysisResult,
    EngineBusy,
    EngineInfo,
    EngineState,
    EngineUnavailable,
    ExplanationResult,
)
from inference.explanations import Check, Target
from inference.progress import Progress, ProgressCallback
from models.language import content_words

_SAME_SCENE_DISTANCE = 0.5
"""Between thumbnails: 0 for the same image, about 1 for unrelated ones."""

_MAX_EXPLANATIONS = 8
_MAX_REMEMBERED = 4
"""Images whose captions with hidden regions are remembered."""

Result = TypeVar("Result")


class EndpointCaptioner:
    """Captions frames by an endpoint, in the process of the server.

    Frames are never queued: while the maximum number of requests is in flight, or captions are
    paused, a frame is dropped, and `wait_ready` returns when a newer one can be sent.
    """

    def __init__(
        self, endpoint: Endpoint, pauses: Pauses | None = None, max_failures: int | None = None
    ) -> None:
        """Prepare to caption; `start` opens the client. See `Availability` for the arguments."""
        self._endpoint = endpoint
        self._availability = Availability(endpoint, pauses or Pauses(), max_failures)
        self._client: EndpointClient | None = None
        self._executor = ThreadPoolExecutor(1, "endpoint")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._explaining = 0
        self._remembered: OrderedDict[bytes, HiddenRegions] = OrderedDict()
        self.answered = self.failed = 0
        """Requests, without those that were cancelled."""

    @property
    def state(self) -> EngineState:
        """Whether captions are available now."""
        return self._availability.state

    @property
    def message(self) -> str:
        """Why captions are not available, for people; empty when they are."""
        return self._availability.message

    @property
    def info(self) -> EngineInfo:
        """The captioner's properties."""
        return EngineInfo(
            name=self._endpoint.model,
            encoder=None,
            resizing=RESIZING,
            vocabulary_size=None,
            beam_width=None,
            licence="as the endpoint's model",
            figures={},
            tags=False,
            hardened=False,
            concepts=False,
            methods=(method_card(self._endpoint.regions),),
            captioner=f"endpoint:{self._endpoint.name}",
        )

    def start(self) -> None:
        """Open the client; no request is sent before there is a frame."""
        self._client = EndpointClient(self._endpoint)
        self._availability.open(self._endpoint)

    async def stop(self) -> None:
        """Cancel all requests and close all connections."""
        client, self._client = self._client, None
        self._availability.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if client:
            await client.close()
        self._executor.shutdown(wait=False)

    async def configure(self, endpoint: Endpoint) -> None:
        """Use other settings from now on; requests in flight are dropped."""
        if endpoint == self._endpoint:
            return
        old, self._client = self._client, EndpointClient(endpoint)
        self._endpoint = endpoint
        self._remembered.clear()
        self._availability.open(endpoint)
        if old:
            await old.close()

    async def wait_ready(self) -> None:
        """Wait until a frame can be captioned; raises as `Availability.wait`."""
        await self._availability.wait()

    async def wait_loaded(self) -> None:
        """Check that the endpoint can be reached, without a frame.

        Raises:
            EngineUnavailable: If it cannot.
        """
        assert self._client
        try:
            await self._run(self._client.reach())
        except EndpointError as problem:
            raise EngineUnavailable(as_sentence(str(problem))) from problem

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a listener at each change of the state; return a function that unsubscribes it."""
        return self._availability.subscribe(listener)

    async def caption_frame(
        self, request: FrameRequest, beam_width: int | None = None
    ) -> FrameResult:
        """Caption the next frame of a stream.

        Args:
            request: The frame, and the state that came with the stream's last caption.
            beam_width: Ignored: the endpoint searches as it likes.

        Raises:
            EngineUnavailable: If captions are paused, the maximum number of requests is in flight,
                or the endpoint fails.
            ValueError: If the array is not an image.
        """
        check_image(request.image)
        async with self._availability.caption(background=request.background):
            begun = time.perf_counter()
            thumbnail, (text, words) = await self._run(self._caption(request.image))
            took_ms = (time.perf_counter() - begun) * 1e3
        return _choose(request.state, thumbnail, text, words, Timing(0.0, 0.0, endpoint=took_ms))

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
        """Explain a caption; cancelling this cancels its requests.

        The first explanation of a frame sends the number of requests that the method's card states;
        further ones of the same frame send none.

        Args:
            image: RGB, uint8 [H, W, 3].
            tokens: The caption's, see `StreamState.tokens`.
            method: Name of one of `info.methods`.
            target: What to explain.
            progress: Called with the progress after each request.
            live: Whether nobody asked for it; such explanations are refused.
            before_requests: Called with the number of requests before they are sent; what it raises
                is raised, and none is sent.

        Raises:
            EngineUnavailable: If captions are paused, or a request fails.
            EngineBusy: If the limit of explanations at a time is reached.
            ValueError: If there is no such method, or it cannot explain the target.
        """
        check_image(image)
        if method != METHOD:
            raise ValueError(f"there is no method {method!r}; the method is {METHOD}")
        words = target_words(_decode(tokens), target)
        if live or self._explaining >= _MAX_EXPLANATIONS:
            raise EngineBusy("too many explanations are running; try again later")
        if self.state is not EngineState.READY:
            raise EngineUnavailable(self.message)
        begun = time.perf_counter()
        self._explaining += 1
        try:
            hidden = await self._run(self._hide_regions(image, progress, before_requests))
        except EndpointError as problem:
            raise EngineUnavailable(as_sentence(f"no explanation: {problem}")) from problem
        finally:
            self._explaining -= 1
        return ExplanationResult(hidden.map(words), (time.perf_counter() - begun) * 1e3)

    async def check(
        self,
        image: NDArray[np.uint8],
        tokens: tuple[int, ...],
        method: str,
        index: int,
        progress: ProgressCallback | None = None,
    ) -> Check:
        """Raise ValueError: a check needs the probability of a given word."""
        raise ValueError("an endpoint gives no probability of a given word to check a map with")

    async def analyse(
        self,
        kind: AnalysisKind,
        image: NDArray[np.uint8],
        tokens: tuple[int, ...],
        params: Mapping[str, Any],
        frames: Sequence[NDArray[np.uint8]] = (),
        progress: ProgressCallback | None = None,
    ) -> AnalysisResult:
        """Raise ValueError: the analyses need gradients."""
        raise ValueError("this analysis needs the model's gradients, which no endpoint gives")

    async def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do work in a task of its own, which `stop` cancels."""
        task = asyncio.create_task(work, name="endpoint request")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current and current.cancelling():
                raise
            raise EngineUnavailable(self.message) from None

    async def _caption(
        self, image: NDArray[np.uint8]
    ) -> tuple[Features, tuple[str, tuple[Word, ...]]]:
        thumbnail = await self._compute(frame_thumbnail, image)
        return thumbnail, await self._ask(await self._compute(data_url, image))

    async def _hide_regions(
        self,
        image: NDArray[np.uint8],
        progress: ProgressCallback | None,
        before_requests: Callable[[int], Awaitable[None]] | None,
    ) -> HiddenRegions:
        """Caption an image with each of its regions hidden, as far as that was not yet done."""
        endpoint = self._endpoint
        image = await self._compute(RESIZING.apply, image)
        hidden = self._remember(await self._compute(digest, image))
        # Captions of streams go on meanwhile, if more than one request at once is allowed.
        at_once = asyncio.Semaphore(max(1, self._endpoint.requests - 1))

        async def caption(region: int) -> None:
            async with at_once, self._availability.slot():
                masked = await self._compute(hide, image, hidden.regions, region)
                url = await self._compute(data_url, masked)
                hidden.captions[region], _ = await self._ask(url)
            if progress:
                done = len(hidden.captions) / request_count(hidden.regions)
                progress(Progress(done, "Captioning with regions hidden"))

        async with hidden.collecting:
            if before_requests and hidden.missing:
                await before_requests(len(hidden.missing))
            try:
                async with asyncio.TaskGroup() as group:
                    for region in hidden.missing:
                        group.create_task(caption(region), name="endpoint request")
            except* EndpointError as problems:
                first = problems.exceptions[0]
                raise EndpointError(str(first)) from first
        if self._endpoint is not endpoint:
            raise EndpointError("the endpoint's settings changed meanwhile; try again")
        return hidden

    def _remember(self, key: bytes) -> HiddenRegions:
        """Return what is known of an image, the digest of which is given."""
        hidden = self._remembered.setdefault(key, HiddenRegions(self._endpoint.regions))
        self._remembered.move_to_end(key)
        while len(self._remembered) > _MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return hidden

    async def _ask(self, url: str) -> tuple[str, tuple[Word, ...]]:
        """Send an image; return its caption and words."""
        if self._client is None:
            raise EndpointError("the server is being stopped")
        try:
            answer = await self._client.ask(url)
            caption = read_caption(answer)
        except UnusableAnswer as problem:
            self.failed += 1
            raise EndpointError(str(problem)) from None
        except EndpointError:
            self.failed += 1
            raise
        self.answered += 1
        return caption

    async def _compute(self, function: Callable[..., Result], *arguments: object) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, function, *arguments)


def _choose(
    state: StreamState | None,
    thumbnail: Features,
    text: str,
    words: tuple[Word, ...],
    timing: Timing,
) -> FrameResult:
    """Choose between the new caption and the stream's one.

    In the same scene a caption with the same content words is another wording, not news, so the
    stream keeps its wording.
    """
    origin = thumbnail
    is_same_scene = state and feature_distance(state.origin, thumbnail) < _SAME_SCENE_DISTANCE
    if state and is_same_scene and _content(text) == _content(state.caption.text):
        origin = state.origin
        text, words = state.caption.text, state.caption.words
    caption = Caption(
        text=text,
        confidence=None,
        words=words,
        tags=(),
        fallback=None,
        guess="",
        kept=False,
        timing_ms=timing,
    )
    return FrameResult(caption, StreamState(caption, _encode(text), thumbnail, origin))


def _content(text: str) -> frozenset[str]:
    """Return what makes a caption another one: content words in English, else the exact text."""
    return (text.isascii() and content_words(text)) or frozenset({text})


def _encode(text: str) -> tuple[int, ...]:
    """Return a caption's tokens: its code points, as the endpoint's own tokens are not known."""
    return tuple(map(ord, text))


def _decode(tokens: tuple[int, ...]) -> str:
    try:
        return "".join(map(chr, tokens))
    except (ValueError, OverflowError):
        raise ValueError("these are not the tokens of an endpoint's caption") from None
