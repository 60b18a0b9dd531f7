"""A rule that follows captions, live or from the history: its states by feed, and its firings."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from stream.history import Firing
from stream.rules.matching import Matcher, Observation, WordStems
from stream.rules.rule import Rule
from stream.rules.state import Change, RuleState, StateMachine

_MAX_FEEDS = 2500
"""Feeds and published sessions whose state is kept; beyond that those are forgotten whose last
caption is the oldest."""


@dataclass(slots=True)
class _Tracked:
    """The state on a feed, and what to say of it."""

    state: RuleState = field(default_factory=RuleState)
    said: str = ""
    """The last caption that had the words."""
    words: tuple[str, ...] = ()
    """Those that were found in it."""
    firing: Firing | None = None
    """The firing that lasts."""

    def to_json(self) -> dict[str, Any]:
        return {
            "state": self.state.to_json(),
            "said": self.said,
            "words": list(self.words),
            "firing": self.firing.to_json() if self.firing else None,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        firing = values["firing"]
        return cls(
            RuleState.from_json(values["state"]),
            str(values["said"]),
            tuple(map(str, values["words"])),
            Firing.from_json(firing) if firing else None,
        )


class RuleTracker:
    """Follows one rule on all its feeds."""

    fired = 0
    """Firings since the start."""
    suppressed = 0
    """Times when the rule did not fire because of its cool-down."""

    def __init__(self, name: str, rule: Rule, stems: WordStems) -> None:
        """Start without states."""
        self.name, self.rule = name, rule
        self._matcher, self._machine = Matcher(rule, stems), StateMachine(rule)
        self._feeds: OrderedDict[str, _Tracked] = OrderedDict()

    def observe(self, observation: Observation) -> list[Firing]:
        """Add a caption; return the firings that began or ended with it, in order."""
        if not self.rule.watches(observation.feed):
            return []
        firings = list[Firing]()
        tracked = self._feeds.setdefault(observation.feed, _Tracked())
        self._feeds.move_to_end(observation.feed)
        while len(self._feeds) > _MAX_FEEDS:
            _, oldest = self._feeds.popitem(last=False)
            if oldest.firing:
                firings.append(oldest.firing.at_end(max(observation.time, oldest.firing.began)))
        match = self._matcher.match(observation)
        changes = self._machine.observe(tracked.state, observation.time, match.holds)
        # What is due by now has held since an earlier caption, unless the rule fires at once.
        is_due_at_once = self.rule.present_s == 0 and tracked.state.since == tracked.state.seen
        if match.holds and is_due_at_once:
            tracked.said, tracked.words = observation.said, match.words
        firings += self._firings(observation.feed, tracked, changes)
        if match.holds:
            tracked.said, tracked.words = observation.said, match.words
        return firings

    def check_silence(self, now: float) -> list[Firing]:
        """End the firings on feeds that are silent; `now` in seconds since the Unix epoch."""
        ended = list[Firing]()
        for feed, tracked in self._feeds.items():
            ended += self._firings(feed, tracked, self._machine.check_silence(tracked.state, now))
        return ended

    def forget_idle(self, now: float) -> None:
        """Forget the feeds of whose past nothing counts any more; `now` as for `check_silence`.

        Sessions that people share come and go, and their states would add up.
        """
        idle = [
            feed for feed, each in self._feeds.items() if self._machine.is_idle(each.state, now)
        ]
        for feed in idle:
            del self._feeds[feed]

    def end_all(self, now: float) -> list[Firing]:
        """End all firings, as the rule is removed or changed."""
        lasting = self.firings()
        self._feeds.clear()
        return ends_of(lasting, now)

    def is_on(self) -> dict[str, bool]:
        """Return whether the rule is on, for each feed that had a caption."""
        return {feed: tracked.state.is_on for feed, tracked in self._feeds.items()}

    def is_on_feed(self, feed: str) -> bool:
        """Return whether the rule is on for a feed."""
        return self._feeds[feed].state.is_on

    def firings(self) -> list[Firing]:
        """Return the firings that last."""
        return [each.firing for each in self._feeds.values() if each.firing]

    def to_json(self) -> dict[str, Any]:
        """Return the states by feed as JSON values, with the rule that they belong to."""
        feeds = {feed: tracked.to_json() for feed, tracked in self._feeds.items()}
        return {"rule": self.rule.model_dump(mode="json"), "feeds": feeds}

    def restore(self, values: dict[str, Any]) -> bool:
        """Take the states that `to_json` returned; return False if they are of another rule.

        Raises:
            KeyError, TypeError, AttributeError: If it is anything else.
        """
        if values["rule"] != self.rule.model_dump(mode="json"):
            return False
        found = {feed: _Tracked.from_json(each) for feed, each in values["feeds"].items()}
        self._feeds = OrderedDict(found)
        return True

    def _firings(self, feed: str, tracked: _Tracked, changes: list[Change]) -> list[Firing]:
        firings = list[Firing]()
        for change in changes:
            match change.kind:
                case "suppressed":
                    self.suppressed += 1
                case "fired":
                    self.fired += 1
                    tracked.firing = self._begin(feed, tracked, change.time)
                    firings.append(tracked.firing)
                case "ended" if tracked.firing:
                    # The clock may have been set back meanwhile.
                    ended = max(change.time, tracked.firing.began)
                    firings.append(tracked.firing.at_end(ended))
                    tracked.firing = None
        return firings

    def _begin(self, feed: str, tracked: _Tracked, time: float) -> Firing:
        local = datetime.fromtimestamp(time)
        message = self.rule.message_of(
            {
                "rule": self.name,
                "feed": feed,
                "caption": tracked.said,
                "words": ", ".join(tracked.words),
                "time": f"{local:%Y-%m-%d %H:%M:%S}",
            }
        )
        began = round(time, 3)
        return Firing(self.name, feed, began, None, message, tracked.said, tracked.words)


def lasting_in(values: dict[str, Any]) -> list[Firing]:
    """Return the firings that last in what `RuleTracker.to_json` returned; raises as `restore`."""
    found = [each["firing"] for each in values["feeds"].values()]
    return [Firing.from_json(firing) for firing in found if firing]


def ends_of(firings: Iterable[Firing], now: float) -> list[Firing]:
    """Return firings with their end, as nothing watches for it any more."""
    return [firing.at_end(max(round(now, 3), firing.began)) for firing in firings]
