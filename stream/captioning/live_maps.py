"""Heat maps that come with a stream's captions without a request, within a budget of engine time.

Word maps come with the caption itself, from the engine; a saliency map follows once the caption is
published, so that no caption waits for it.
"""

import math
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from statistics import median_low
from typing import Any, Literal

from inference.engine import CaptionService, EngineBusy, EngineUnavailable, ExplanationResult
from inference.explanations import Map, Target
from stream.captioning.kept_frames import KeptFrame
from stream.clock import boottime
from stream.load import LoadLevel

_COST_SAMPLES = 5
"""Measurements whose median is the cost: neither a graph that is compiled on the first call nor
another session's burst must make maps rarer."""

_MAX_SALIENCY_INTERVAL = 10
"""Saliency maps get rarer up to this interval before word maps get rarer too."""

_MAX_INTERVAL = 100
"""Longest interval between two maps: costs change, so they must be measured now and then."""

OverlayMode = Literal["none", "words", "saliency"]
"""Heat map drawn on the annotated video: none, the caption's word maps together, or saliency."""

ExplanationMode = Literal["all", "words", "none"]
"""Maps sent with captions: word maps and saliency, word maps only, or none."""

_SALIENCY = "saliency"
_CAPTION_TARGET = Target("caption")


@dataclass(frozen=True, slots=True)
class MapIntervals:
    """Captions from one map to the next: 1 for a map with each caption, 0 for none."""

    word_maps: int
    saliency: int


class MapCost:
    """Engine time that a kind of map takes, as measured lately."""

    def __init__(self) -> None:
        """Start with a cost of 0, so that a first map is computed and measured."""
        self._samples: deque[float] = deque(maxlen=_COST_SAMPLES)

    def measure(self, ms: float) -> None:
        """Record the time that one map took, in milliseconds."""
        self._samples.append(ms)

    @property
    def ms(self) -> float:
        """Median time of one map, in milliseconds."""
        return median_low(self._samples) if self._samples else 0.0


class ExplanationBudget:
    """Limits a stream's maps to a fraction of the engine's time by computing them less often.

    Saliency costs more, so it gets rarer first: it comes with every second caption, every third and
    so on up to every tenth. Then word maps get rarer too, and finally both together.
    """

    def __init__(self, share: float) -> None:
        """Allow a fraction of the engine's time, 0..1; with 0 no map is computed."""
        self._share = share
        self.word_map_cost, self.saliency_cost = MapCost(), MapCost()

    def intervals(self, interval_s: float, *, word_maps: bool, saliency: bool) -> MapIntervals:
        """Choose how often maps are computed now.

        Args:
            interval_s: Seconds from one caption to the next.
            word_maps: Whether word maps are used at all.
            saliency: Whether saliency maps are used at all.
        """
        if not self._share:
            return MapIntervals(0, 0)
        budget_ms = 1e3 * interval_s * self._share
        word_maps_ms = self.word_map_cost.ms if word_maps else 0.0
        saliency_ms = self.saliency_cost.ms if saliency else 0.0
        chosen = _choose_intervals(word_maps_ms, saliency_ms, budget_ms)
        return MapIntervals(
            chosen.word_maps if word_maps else 0, chosen.saliency if saliency else 0
        )


def _choose_intervals(word_maps_ms: float, saliency_ms: float, budget_ms: float) -> MapIntervals:
    interval = _affordable_interval(saliency_ms, budget_ms - word_maps_ms)
    if interval <= _MAX_SALIENCY_INTERVAL:
        return MapIntervals(1, interval)
    interval = _affordable_interval(word_maps_ms, budget_ms - saliency_ms / _MAX_SALIENCY_INTERVAL)
    if interval <= _MAX_SALIENCY_INTERVAL:
        return MapIntervals(interval, _MAX_SALIENCY_INTERVAL)
    both = min(_affordable_interval(word_maps_ms + saliency_ms, budget_ms), _MAX_INTERVAL)
    return MapIntervals(both, both)


def _affordable_interval(cost_ms: float, budget_ms: float) -> int:
    """Return the shortest interval, in captions, at which a cost stays within the budget."""
    if cost_ms <= budget_ms:
        return 1
    return math.ceil(cost_ms / budget_ms) if budget_ms > 0 else _MAX_INTERVAL + 1


@dataclass(frozen=True, slots=True)
class LiveExplanation:
    """An explanation that was computed without a request."""

    seq: int
    """Number of the explained caption within its stream."""
    method: str
    target: Target
    result: ExplanationResult


class LiveMaps:
    """Schedules the maps of a stream's captions, and keeps the newest of each kind for drawing.

    A saliency map is requested only when the one before has been answered.
    """

    explanations: ExplanationMode = "all"
    """Maps that are sent with captions."""
    overlay: OverlayMode = "none"
    """Map that is drawn on the annotated video."""

    def __init__(
        self,
        caption_service: CaptionService,
        share: float,
        interval_s: Callable[[], float],
        publish: Callable[[LiveExplanation], object],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        load_level: Callable[[], LoadLevel] = lambda: LoadLevel.NORMAL,
    ) -> None:
        """Prepare to explain a stream's captions.

        Args:
            caption_service: Computes the maps.
            share: Fraction of the engine's time, as for `ExplanationBudget`.
            interval_s: Returns the seconds from one caption to the next.
            publish: Called with each saliency map.
            spawn: Runs a coroutine that is cancelled when the stream ends.
            load_level: Returns the current load level.
        """
        self._caption_service, self._budget = caption_service, ExplanationBudget(share)
        self._interval_s, self._publish, self._spawn = interval_s, publish, spawn
        self._load_level = load_level
        self._saliency_pending = False
        self._word_map: _DatedMap | None = None
        self._saliency: _DatedMap | None = None
        self._since_word_maps, self._since_saliency = _CaptionsSince(), _CaptionsSince()

    @property
    def intervals(self) -> MapIntervals:
        """How often maps are computed now."""
        level = self._load_level()
        return self._budget.intervals(
            self._interval_s(),
            word_maps=level < LoadLevel.NO_WORD_MAPS
            and self._offers_word_maps()
            and (self.explanations != "none" or self.overlay == "words"),
            saliency=level < LoadLevel.NO_SALIENCY
            and self._offers_saliency()
            and (self.explanations == "all" or self.overlay == _SALIENCY),
        )

    def word_maps_due(self) -> bool:
        """Return whether the next caption must come with word maps."""
        return self._since_word_maps.is_due(self.intervals.word_maps)

    def on_caption(self, kept: KeptFrame) -> None:
        """Keep the maps of a caption that was published, and request its saliency if it is due."""
        caption = kept.captioned.caption
        self._since_word_maps.count(explained=caption.timing_ms.maps > 0)
        if caption.timing_ms.maps:
            self._budget.word_map_cost.measure(caption.timing_ms.maps)
        if caption.maps:
            self._word_map = _DatedMap.of(caption.maps.caption, kept)
        is_due = self._since_saliency.is_due(self.intervals.saliency)
        saliency = self._saliency
        # A kept caption has the saliency map of the caption that it repeats.
        if caption.kept and saliency and saliency.tokens == kept.captioned.tokens:
            self._saliency = _DatedMap.of(saliency.map, kept)
            is_due = False
        starts = is_due and not self._saliency_pending
        self._since_saliency.count(explained=starts)
        if starts:
            self._saliency_pending = True
            self._spawn(self._compute_saliency(kept))

    def overlay_map(self, max_age_s: float, since_boottime: float = float("-inf")) -> Map | None:
        """Return the map to draw now.

        Args:
            max_age_s: Largest age of its frame, in seconds.
            since_boottime: Earliest time when its frame was captured, on the clock `boottime`.

        Returns:
            None if there is no such map.
        """
        dated = {"none": None, "words": self._word_map, "saliency": self._saliency}[self.overlay]
        if dated is None or boottime() - dated.received_boottime > max_age_s:
            return None
        return None if dated.captured_boottime < since_boottime else dated.map

    async def _compute_saliency(self, kept: KeptFrame) -> None:
        info, tokens = self._caption_service.info, kept.captioned.tokens
        assert info
        try:
            image = await kept.image(info)
            result = await self._caption_service.explain(
                image, tokens, _SALIENCY, _CAPTION_TARGET, live=True
            )
        except (EngineUnavailable, EngineBusy, ValueError):
            # No client waits for this map, and the next caption comes soon.
            return
        finally:
            self._saliency_pending = False
        self._budget.saliency_cost.measure(result.took_ms)
        self._saliency = _DatedMap.of(result.map, kept)
        if self.explanations == "all":
            self._publish(LiveExplanation(kept.seq, _SALIENCY, _CAPTION_TARGET, result))

    def _offers_word_maps(self) -> bool:
        info = self._caption_service.info
        return info is None or info.live_method is not None

    def _offers_saliency(self) -> bool:
        info = self._caption_service.info
        return info is not None and any(method.name == _SALIENCY for method in info.methods)


@dataclass(frozen=True, slots=True)
class _DatedMap:
    """A map, and when the newest frame that it applies to was captured and received.

    Both times are on the clock `boottime`.
    """

    map: Map
    tokens: tuple[int, ...]
    captured_boottime: float
    received_boottime: float

    @classmethod
    def of(cls, map_: Map, kept: KeptFrame) -> "_DatedMap":
        frame = kept.captioned.frame
        return cls(map_, kept.captioned.tokens, frame.captured_boottime, frame.received_boottime)


class _CaptionsSince:
    """Counts the captions since the last one that was explained."""

    def __init__(self) -> None:
        self._count: int | None = None

    def is_due(self, interval: int) -> bool:
        """Return whether the next caption must be explained; never for an interval of 0."""
        return interval > 0 and (self._count is None or self._count + 1 >= interval)

    def count(self, *, explained: bool) -> None:
        """Count a caption."""
        if explained:
            self._count = 0
        elif self._count is not None:
            self._count += 1
