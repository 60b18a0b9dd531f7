"""A dry run: when a rule would have fired on the captions of the history."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from stream.history import MAX_GAP_S, Firing, Span
from stream.rules.matching import Observation, WordStems
from stream.rules.rule import Rule
from stream.rules.tracking import RuleTracker

MAX_DRY_RUN_SPANS = 200_000
"""Spans that a dry run reads; the later ones are left out."""

MAX_DRY_RUN_S = 20.0
"""Seconds for which a dry run lasts; what it has not come to by then is left out."""

MAX_LISTED = 200
"""Firings that a dry run lists; it counts the others."""


@dataclass(slots=True)
class DryRun:
    """The result of a dry run."""

    count: int = 0
    """Firings."""
    suppressed: int = 0
    """Times when the rule would not have fired because of its cool-down."""
    firings: list[Firing] = field(default_factory=list)
    """The first of them; one that lasts at the end has no end."""
    spans: int = 0
    """Spans that were read."""
    until: float | None = None
    """Where the run ended because there was too much to read; None if it is complete."""

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {
            "count": self.count,
            "suppressed": self.suppressed,
            "firings": [firing.to_json() for firing in self.firings],
            "spans": self.spans,
            "until": self.until,
        }


class _Replay:
    """Adds spans to a rule as the captions that they were made of."""

    def __init__(self, name: str, rule: Rule, stems: WordStems) -> None:
        self.result = DryRun()
        self._tracker = RuleTracker(name, rule, stems)
        self._places: dict[tuple[str, float], int] = {}
        self._deadline = monotonic() + MAX_DRY_RUN_S

    def add(self, spans: Iterable[Span]) -> bool:
        """Add spans, the oldest first; return whether there may be more."""
        result = self.result
        for span in spans:
            for time in _times(span):
                # A quiet camera has long spans, each of which stands for many captions.
                if result.spans >= MAX_DRY_RUN_SPANS or monotonic() >= self._deadline:
                    result.until = time
                    return False
                self._note(self._tracker.observe(Observation.of_span(span, time)))
            result.spans += 1
            result.suppressed = self._tracker.suppressed
        return True

    def stop(self) -> None:
        """End `add` in another thread soon."""
        self._deadline = 0.0

    def end(self, time: float) -> None:
        """End firings on feeds that were silent at the end."""
        self._note(self._tracker.check_silence(time))

    def _note(self, firings: Iterable[Firing]) -> None:
        result = self.result
        for firing in firings:
            key = firing.feed, firing.began
            if firing.ended is None:
                result.count += 1
                if len(result.firings) < MAX_LISTED:
                    self._places[key] = len(result.firings)
                    result.firings.append(firing)
            elif key in self._places:
                result.firings[self._places.pop(key)] = firing


async def dry_run(name: str, rule: Rule, pages: AsyncIterator[list[Span]], end: float) -> DryRun:
    """Return when a rule would have fired; it takes at most `MAX_DRY_RUN_S` and reading a page.

    The history keeps one confidence for the captions of a span, the highest. So with a least
    confidence, times may differ from live ones by the duration of a span.

    Args:
        name: Name of the rule.
        rule: The rule; it runs even if it is not enabled.
        pages: Spans of the history, the oldest first.
        end: End of the run, in seconds since the Unix epoch.
    """
    with _stems() as stems:
        replay = _Replay(name, rule.model_copy(update={"enabled": True}), stems)
        async for page in pages:
            adding = asyncio.ensure_future(asyncio.to_thread(replay.add, page))
            try:
                may_be_more = await asyncio.shield(adding)
            except asyncio.CancelledError:
                # The thread uses the stems until it ends.
                replay.stop()
                await asyncio.wait({adding})
                raise
            if not may_be_more:
                break
        else:
            replay.end(end)
        # Spans are in order of their beginnings, so firings on several feeds are not.
        replay.result.firings.sort(key=lambda firing: (firing.began, firing.feed))
        return replay.result


def _times(span: Span) -> Iterator[float]:
    """Yield times of captions that a span may have been made of, so that none is a silence.

    It lasted until the next caption, so its end counts as one that says the same.
    """
    time = span.started
    while time < span.ended:
        yield time
        time += MAX_GAP_S
    yield span.ended


@contextmanager
def _stems() -> Iterator[WordStems]:
    stems = WordStems()
    try:
        yield stems
    finally:
        stems.close()
