"""The watcher: compares the captions of all published streams with the rules, and reports firings.

Of a cluster's servers one runs it, so that a rule fires once.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping

from stream.captioning import CaptionEvent
from stream.history import Firing
from stream.publishing import Publications, ReportedRule
from stream.rules.matching import Observation, WordStems
from stream.rules.rule import Rule
from stream.rules.state_store import States, StateStore
from stream.rules.tracking import RuleTracker, ends_of, lasting_in

_TICK_S = 1.0
"""How often to look for silent feeds and to store changed states."""

_STORE_INTERVAL_S = 10.0
"""How often to store states of which only the time of the last caption has changed."""

_SILENCE_MARGIN_S = 10.0
"""How late a caption may come after its frame."""

_MAX_UNRECORDED = 1000

Record = Callable[[Firing], Awaitable[None]]

logger = logging.getLogger(__name__)


class RuleWatcher:
    """Follows all rules. Captions are compared when they are published, without delay."""

    unrecorded = 0
    """Firings that the history lost because too many waited for it."""

    def __init__(self, publications: Publications, record: Record | None) -> None:
        """Prepare a watcher.

        Args:
            publications: The streams, to whose `rules` firings are reported.
            record: Stores a firing in the history; None without one.
        """
        self._publications, self._record = publications, record
        self._trackers: dict[str, RuleTracker] = {}
        self._rules: Mapping[str, Rule] = {}
        self._stems: WordStems | None = None
        self._firings: deque[Firing] = deque(maxlen=_MAX_UNRECORDED)
        """Those that are not recorded yet."""
        self._due = asyncio.Event()
        self._has_changed = self._is_running = False
        self.fired: dict[str, int] = {}
        """Firings of each rule since the start of the server."""
        self.suppressed: dict[str, int] = {}
        """Times when a rule did not fire because of its cool-down, since the start."""

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The rules in use, by name."""
        return self._rules

    def firings(self) -> list[Firing]:
        """Return the firings that last, if this server runs the watcher."""
        return [firing for each in self._trackers.values() for firing in each.firings()]

    def configure(self, rules: Mapping[str, Rule]) -> None:
        """Apply rules; one that has changed starts anew."""
        self._rules = dict(rules)
        for name in rules:
            self.fired.setdefault(name, 0)
            self.suppressed.setdefault(name, 0)
        # Before the firings end, as their sinks are looked up.
        ended, now = list[Firing](), time.time()
        for name, tracker in list(self._trackers.items()):
            if rules.get(name) != tracker.rule:
                ended += tracker.end_all(now)
                del self._trackers[name]
                self._publications.rules.forget(name)
        self._report(ended)
        reported = {
            name: ReportedRule(frozenset(rule.feeds), frozenset(rule.targets))
            for name, rule in rules.items()
            if rule.enabled
        }
        self._publications.rules.set_rules(reported)
        if self._is_running:
            self._add_trackers()

    async def run(self, store: StateStore) -> None:
        """Watch until cancelled; states are taken from the store, and left there."""
        self._stems = WordStems()
        self._restore(await store.load())
        unsubscribe = self._publications.captions.subscribe(self._on_caption)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._maintain(store), name="rules")
                if self._record:
                    tasks.create_task(self._write(self._record), name="firings")
        finally:
            unsubscribe()
            self._is_running = False
            states = self._states()
            self._trackers.clear()
            self._publications.rules.clear_states()
            self._stems.close()
            await store.store(states)

    def _restore(self, states: States) -> None:
        self._is_running = True
        self._add_trackers()
        for name, values in states.items():
            tracker = self._trackers.get(name)
            try:
                if tracker is None or not tracker.restore(values):
                    # The rule was changed or removed meanwhile.
                    self._report(ends_of(lasting_in(values), time.time()))
            except (KeyError, TypeError, AttributeError):
                logger.warning("the stored state of rule %s is damaged; it starts anew", name)
        for name, tracker in self._trackers.items():
            self._report_states(name, tracker)
            for firing in tracker.firings():
                self._publications.rules.lasting[firing.rule, firing.feed] = firing

    def _add_trackers(self) -> None:
        assert self._stems
        for name, rule in self._rules.items():
            if name not in self._trackers:
                self._trackers[name] = RuleTracker(name, rule, self._stems)

    def _on_caption(self, event: CaptionEvent) -> None:
        observation = Observation.of_event(event)
        for name, tracker in self._trackers.items():
            if tracker.rule.watches(event.stream):
                fired, suppressed = tracker.fired, tracker.suppressed
                self._report(tracker.observe(observation))
                self.fired[name] += tracker.fired - fired
                self.suppressed[name] += tracker.suppressed - suppressed
                is_on = tracker.is_on_feed(event.stream)
                self._publications.rules.set_state(name, event.stream, is_on)

    def _report(self, firings: Iterable[Firing]) -> None:
        for firing in firings:
            if self._record:
                self.unrecorded += len(self._firings) == _MAX_UNRECORDED
                self._firings.append(firing)
            self._publications.rules.report(firing)
            self._has_changed = True
            self._due.set()

    def _report_states(self, name: str, tracker: RuleTracker) -> None:
        for feed, is_on in tracker.is_on().items():
            self._publications.rules.set_state(name, feed, is_on)

    async def _maintain(self, store: StateStore) -> None:
        """Store changed states soon, and end firings on silent feeds."""
        stored_at = time.monotonic()
        while True:
            if self._has_changed or time.monotonic() - stored_at >= _STORE_INTERVAL_S:
                self._has_changed = False
                self._forget_idle(time.time() - _SILENCE_MARGIN_S)
                await store.store(self._states())
                stored_at = time.monotonic()
            await asyncio.sleep(_TICK_S)
            for name, tracker in self._trackers.items():
                self._report(tracker.check_silence(time.time() - _SILENCE_MARGIN_S))
                self._report_states(name, tracker)

    def _forget_idle(self, now: float) -> None:
        """Forget streams that are gone, so that their states do not add up."""
        known = {stream.name for stream in self._publications.all()}
        for tracker in self._trackers.values():
            tracker.forget_idle(now)
            known |= tracker.is_on().keys()
        self._publications.rules.keep_feeds(known)

    async def _write(self, record: Record) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            while self._firings:
                firing = self._firings[0]
                await record(firing)
                # Another one may have taken its place in a full queue.
                if self._firings and self._firings[0] is firing:
                    self._firings.popleft()

    def _states(self) -> States:
        return {name: tracker.to_json() for name, tracker in self._trackers.items()}
