"""The explanations and checks that a client asked for: several at once, each under its number."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from inference.conversation import Progress
from inference.engine import EngineUnavailable
from inference.explanations.target import Target
from inference.step import Step
from stream import messages
from stream.caption_channel import CaptionChannel
from stream.caption_service import CaptionService
from stream.kept_frames import FrameGone, KeptFrame, StudiedFrames
from stream.refused import Refused, refusing

_MOST = 4
"""Of one client at once."""
_PROGRESS_S = 0.5
"""Between two words on how far one is."""


class AskedExplanations:
    """Answers each request in a task of its own, with an error if need be, under its id."""

    def __init__(
        self,
        captions: CaptionService,
        frames: StudiedFrames,
        most_s: float,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[object]],
    ) -> None:
        """Explain captions whose pictures are kept.

        Args:
            captions: What explains.
            frames: The pictures.
            most_s: How long one may take.
            spawn: Runs what the session ends with itself.
        """
        self._captions, self._frames = captions, frames
        self._most_s, self._spawn = most_s, spawn
        self._tasks: dict[int, asyncio.Task[object]] = {}

    def __contains__(self, asked: int) -> bool:
        """Whether something asked under this id is not answered yet."""
        return asked in self._tasks

    def ask(self, message: dict[str, Any], channel: CaptionChannel) -> None:
        """Begin to answer an `explain` or a `check`."""
        asked = message["id"]
        try:
            kept = self._admit(message)
        except Refused as refused:
            channel.error(refused.code, str(refused), asked)
            return
        task = self._tasks[asked] = self._spawn(self._answer(message, kept, channel))
        task.add_done_callback(lambda _: self._tasks.pop(asked))

    def cancel(self, asked: int, channel: CaptionChannel) -> None:
        """Give up what was asked under this id, unless it is answered."""
        task = self._tasks.get(asked)
        if task and not task.done() and not task.cancelling():
            task.cancel()
            channel.error("cancelled", "it was cancelled", asked)

    def _admit(self, message: dict[str, Any]) -> KeptFrame:
        if len(self._tasks) >= _MOST:
            raise Refused("busy", f"{_MOST} requests are under way: wait for one, or cancel one")
        try:
            return self._frames.find(message["seq"])
        except FrameGone as problem:
            raise Refused("gone", str(problem)) from problem

    async def _answer(
        self, message: dict[str, Any], kept: KeptFrame, channel: CaptionChannel
    ) -> None:
        try:
            async with refusing("cannot-explain", self._most_s):
                answer = await self._find(message, kept, _teller(message["id"], channel))
            if not await channel.answer(answer):
                raise Refused("busy", "the connection is too slow for the answer: ask again")
        except Refused as refused:
            channel.error(refused.code, str(refused), message["id"])

    async def _find(
        self, message: dict[str, Any], kept: KeptFrame, progress: Progress
    ) -> dict[str, Any]:
        captions, tokens = self._captions, kept.captioned.tokens
        asked, seq, method = message["id"], message["seq"], message["method"]
        if captions.info is None:
            raise EngineUnavailable(captions.message)
        picture = await kept.picture(captions.info.image_size)
        if message["type"] == "check":
            index = message["index"]
            check = await captions.check(picture, tokens, method, index, progress)
            return messages.checked(asked, seq, method, index, check)
        target = Target.from_json(message["of"])
        explained = await captions.explain(picture, tokens, method, target, progress)
        return messages.explanation(asked, seq, method, target, explained)


def _teller(asked: int, channel: CaptionChannel) -> Progress:
    """Tell the client how far it is, now and then."""
    begun = time.monotonic()
    told_at = begun

    def tell(step: Step) -> None:
        nonlocal told_at
        now = time.monotonic()
        if now - told_at >= _PROGRESS_S:
            told_at = now
            channel.send(messages.progress(asked, step.done, now - begun))

    return tell
