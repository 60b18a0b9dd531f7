"""How often a stream's captions are explained, so that captions keep the engine to themselves.

The maps that come with a stream's captions by themselves, as often as its budget allows.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from statistics import median_low
from typing import Any, Literal

from inference.engine import Busy, CaptionService, EngineUnavailable, Explained
from inference.explanations import Map, Target
from stream.captioning.kept_frames import KeptFrame
from stream.load import LoadStep

_REMEMBERED = 5
"""Measurements whose median counts: a graph that was compiled first, or another session's burst,
must not thin out what follows."""

_WIDEST = 10
"""Captions from one map to the next before the other kind of map is thinned out too."""

_RAREST = 100
"""Captions from one map to the next at the most: costs must be measured again, as they change."""

Overlay = Literal["none", "gradcam", "saliency"]

Explanations = Literal["all", "gradcam", "none"]

_SALIENCY = "saliency"
_WHOLE = Target("caption")


@dataclass(frozen=True, slots=True)
class Every:
    """For every how many captions maps are computed; 0 for never."""

    gradcam: int
    saliency: int


class Cost:
    """What a kind of map takes of the engine's time, as it was measured last."""

    def __init__(self) -> None:
        """Begin with no cost: the first map is always computed."""
        self._measured: deque[float] = deque(maxlen=_REMEMBERED)

    def measure(self, ms: float) -> None:
        """Take note of what one took."""
        self._measured.append(ms)

    @property
    def ms(self) -> float:
        """Of one, typically."""
        return median_low(self._measured) if self._measured else 0.0


class ExplanationBudget:
    """Holds a stream's maps to a share of the engine's time, by computing them less often.

    Saliency, the dearer, becomes rarer first: it is computed for every second caption, every third
    and so on; from every tenth on Grad-CAM becomes rarer too; then both.
    """

    def __init__(self, share: float) -> None:
        """Allow a share of the engine's time, in 0..1; with none, nothing is computed."""
        self._share = share
        self.gradcam, self.saliency = Cost(), Cost()

    def every(self, interval_s: float, *, gradcam: bool, saliency: bool) -> Every:
        """Choose how often maps are computed now.

        Args:
            interval_s: Seconds from one caption to the next.
            gradcam: Whether Grad-CAM is wanted at all.
            saliency: Whether saliency is.
        """
        if not self._share:
            return Every(0, 0)
        budget_ms = 1e3 * interval_s * self._share
        gradcam_ms = self.gradcam.ms if gradcam else 0.0
        saliency_ms = self.saliency.ms if saliency else 0.0
        chosen = _choose(gradcam_ms, saliency_ms, budget_ms)
        return Every(chosen.gradcam if gradcam else 0, chosen.saliency if saliency else 0)


def _choose(gradcam_ms: float, saliency_ms: float, budget_ms: float) -> Every:
    rarely = _times(saliency_ms, budget_ms - gradcam_ms)
    if rarely <= _WIDEST:
        return Every(1, rarely)
    rarely = _times(gradcam_ms, budget_ms - saliency_ms / _WIDEST)
    if rarely <= _WIDEST:
        return Every(rarely, _WIDEST)
    both = min(_times(gradcam_ms + saliency_ms, budget_ms), _RAREST)
    return Every(both, both)


def _times(cost_ms: float, budget_ms: float) -> int:
    """For every how many captions something can be afforded that costs so much."""
    if cost_ms <= budget_ms:
        return 1
    return math.ceil(cost_ms / budget_ms) if budget_ms > 0 else _RAREST + 1


@dataclass(frozen=True, slots=True)
class LiveExplanation:
    """An explanation that was computed without a request for it."""

    seq: int
    """Number of the explained caption within its stream."""
    method: str
    target: Target
    explained: Explained


@dataclass(frozen=True, slots=True)
class _Seen:
    """A map, and when the server had the newest picture that it is true of."""

    map: Map
    tokens: tuple[int, ...]
    captured: float


class _Turn:
    """Counts the captions since the last one that was explained."""

    def __init__(self) -> None:
        self._since: int | None = None

    def has_come(self, every: int) -> bool:
        """Whether the next caption is to be explained, if every so-manieth is; never for 0."""
        return every > 0 and (self._since is None or self._since + 1 >= every)

    def count(self, *, explained: bool) -> None:
        """Count a caption."""
        if explained:
            self._since = 0
        elif self._since is not None:
            self._since += 1


class LiveMaps:
    """Asks for Grad-CAM with captions and for saliency after them, and knows what to draw.

    Saliency is asked for once a caption is published, so that no caption waits for it, and never
    while the one before is under way.
    """

    explanations: Explanations = "all"
    """What is wanted with the captions."""
    overlay: Overlay = "none"
    """What is wanted over the returned video."""

    def __init__(
        self,
        captions: CaptionService,
        share: float,
        interval_s: Callable[[], float],
        publish: Callable[[LiveExplanation], object],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        step: Callable[[], LoadStep] = lambda: LoadStep.NOTHING,
    ) -> None:
        """Explain within a share of the engine's time.

        Args:
            captions: What explains.
            share: As `ExplanationBudget` takes it.
            interval_s: Tells the seconds from one caption to the next.
            publish: Called with each saliency map.
            spawn: Runs what ends with the stream.
            step: Tells what is to be left out now.
        """
        self._captions, self._budget = captions, ExplanationBudget(share)
        self._interval_s, self._publish, self._spawn = interval_s, publish, spawn
        self._step = step
        self._asking = False
        self._gradcam: _Seen | None = None
        self._saliency: _Seen | None = None
        self._gradcam_turn, self._saliency_turn = _Turn(), _Turn()

    @property
    def every(self) -> Every:
        """For every how many captions maps are computed now."""
        step = self._step()
        return self._budget.every(
            self._interval_s(),
            gradcam=step < LoadStep.GRADCAM
            and (self.explanations != "none" or self.overlay == "gradcam"),
            saliency=step < LoadStep.SALIENCY
            and self._offers_saliency()
            and (self.explanations == "all" or self.overlay == _SALIENCY),
        )

    def gradcam_is_due(self) -> bool:
        """Whether the next caption is to come with maps of its words."""
        return self._gradcam_turn.has_come(self.every.gradcam)

    def follow(self, kept: KeptFrame) -> None:
        """Take note of a caption that was published, and ask for its saliency if that is due."""
        said = kept.captioned.caption
        self._gradcam_turn.count(explained=said.timing_ms.maps > 0)
        if said.timing_ms.maps:
            self._budget.gradcam.measure(said.timing_ms.maps)
        if said.maps:
            self._gradcam = _seen(said.maps.caption, kept)
        due = self._saliency_turn.has_come(self.every.saliency) and not self._asking
        stands = said.kept and self._saliency and self._saliency.tokens == kept.captioned.tokens
        if stands and self._saliency:
            self._saliency = _seen(self._saliency.map, kept)
        asks = due and not stands
        self._saliency_turn.count(explained=asks)
        if asks:
            self._asking = True
            self._spawn(self._ask_for_saliency(kept))

    def heat(self, patience_s: float) -> Map | None:
        """The map to draw now: none of a picture that is older than so many seconds."""
        seen = {"none": None, "gradcam": self._gradcam, "saliency": self._saliency}[self.overlay]
        if seen is None or time.time() - seen.captured > patience_s:
            return None
        return seen.map

    async def _ask_for_saliency(self, kept: KeptFrame) -> None:
        info, tokens = self._captions.info, kept.captioned.tokens
        assert info
        try:
            picture = await kept.picture(info.image_size)
            explained = await self._captions.explain(picture, tokens, _SALIENCY, _WHOLE, live=True)
        except (EngineUnavailable, Busy, ValueError):
            # Nobody asked for it, and the next caption comes soon.
            return
        finally:
            self._asking = False
        self._budget.saliency.measure(explained.took_ms)
        self._saliency = _seen(explained.map, kept)
        if self.explanations == "all":
            self._publish(LiveExplanation(kept.seq, _SALIENCY, _WHOLE, explained))

    def _offers_saliency(self) -> bool:
        info = self._captions.info
        return info is not None and any(method.name == _SALIENCY for method in info.methods)


def _seen(heat: Map, kept: KeptFrame) -> _Seen:
    return _Seen(heat, kept.captioned.tokens, kept.captioned.frame.captured)
