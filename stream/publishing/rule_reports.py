"""What rules report about published streams: their firings, and whether they are on."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from stream.broadcast import Broadcast
from stream.history import Firing


@dataclass(frozen=True, slots=True)
class ReportedRule:
    """Where a rule watches, and who gets its firings."""

    feeds: frozenset[str]
    """The feeds that it watches; all when empty."""
    targets: frozenset[str]
    """The sinks that get its firings."""


class RuleReports:
    """The latest reports of the rules, for subscribers and sinks."""

    def __init__(self) -> None:
        """Start without reports."""
        self.firings: Broadcast[Firing] = Broadcast()
        """Publishes each firing when it begins, and again when it ends."""
        self.changes: Broadcast[None] = Broadcast()
        """Publishes an event when `states` or `rules` changes."""
        self.lasting: dict[tuple[str, str], Firing] = {}
        """The firings that have begun and not ended, by rule and feed."""
        self.states: dict[tuple[str, str], bool] = {}
        """Whether a rule is on, by rule and feed: it is also while its cool-down keeps it from
        firing."""
        self.rules: Mapping[str, ReportedRule] = {}
        """The rules in use, by name."""

    def report(self, firing: Firing) -> None:
        """Report a firing, or the end of one."""
        if firing.ended is None:
            self.lasting[firing.rule, firing.feed] = firing
        else:
            self.lasting.pop((firing.rule, firing.feed), None)
        self.firings.publish(firing)

    def set_state(self, rule: str, feed: str, is_on: bool) -> None:
        """Set whether a rule is on for a feed."""
        if self.states.get((rule, feed)) is not is_on:
            self.states[rule, feed] = is_on
            self.changes.publish(None)

    def clear_states(self) -> None:
        """Forget all states, as another server may watch from now on."""
        self.states = {}

    def on_feeds(self, rule: str) -> list[str]:
        """Return the feeds for which a rule is on, as far as this server knows.

        Of a rule that another server of a cluster watches, these are the feeds of its firings.
        """
        on = {feed for (name, feed), is_on in self.states.items() if is_on and name == rule}
        return sorted(on | {feed for name, feed in self.lasting if name == rule})

    def set_rules(self, rules: Mapping[str, ReportedRule]) -> None:
        """Set all rules in use."""
        self.rules = rules
        self.changes.publish(None)

    def forget(self, rule: str) -> None:
        """Forget the states of a rule that has been removed, or has changed."""
        self.states = {key: is_on for key, is_on in self.states.items() if key[0] != rule}
        self.changes.publish(None)

    def keep_feeds(self, feeds: Collection[str]) -> None:
        """Forget the states of all rules on other feeds."""
        gone = [key for key in self.states if key[1] not in feeds]
        for key in gone:
            del self.states[key]
        if gone:
            self.changes.publish(None)

    def reaches(self, rule: str, feed: str, sink: str) -> bool:
        """Return whether a sink gets a rule's firings on a feed."""
        known = self.rules.get(rule)
        if known is None or sink not in known.targets:
            return False
        return not known.feeds or feed in known.feeds
