"""The state of a rule on a feed: from captions to firings.

A caption counts until the next one. So the state depends only on which captions came when: it makes
no difference how often it is updated, and a replay of the history gives the same firings.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from stream.history import MAX_GAP_S
from stream.rules.rule import Rule


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the state, and when it took place in seconds since the Unix epoch."""

    kind: Literal["fired", "suppressed", "ended"]
    time: float


@dataclass(slots=True)
class RuleState:
    """What is known about a rule on a feed; times in seconds since the Unix epoch."""

    seen: float | None = None
    """Time of the last caption; None if it is too long ago to count."""
    holds: bool = False
    """Whether the last caption had the words."""
    condition: bool = False
    """Whether the condition holds: the words, in the rule's hours."""
    since: float = 0.0
    """Since when the condition holds, or does not."""
    is_on: bool = False
    """Whether the condition has held long enough, and has not been absent long enough since."""
    is_firing: bool = False
    """Whether that is a firing, which the cool-down did not suppress."""
    fired: float | None = None
    """When the rule fired last."""

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what `to_json` returned.

        Raises:
            TypeError: If it is anything else.
        """
        for field in fields(cls):
            value, is_time = values.get(field.name), field.name in ("seen", "since", "fired")
            optional = field.name in ("seen", "fired") and value is None
            kind = (int, float) if is_time else type(getattr(cls(), field.name))
            if not (optional or isinstance(value, kind)):
                raise TypeError(f"{field.name} is no state of a rule")
        return cls(**{field.name: values[field.name] for field in fields(cls)})


class StateMachine:
    """Updates states as a rule says."""

    def __init__(self, rule: Rule) -> None:
        """Take the times of a rule."""
        self._rule, self._schedule = rule, rule.schedule

    def observe(self, state: RuleState, time: float, holds: bool) -> list[Change]:
        """Add a caption.

        Args:
            state: The state, which is updated.
            time: When it was captured, in seconds since the Unix epoch.
            holds: Whether it has the words of the rule.

        Returns:
            The changes, in order. They may date from before this caption, but not from before the
            previous one, unless the feed was silent in between.
        """
        # Times of the history have another fraction of a microsecond than those of captions.
        time = round(time, 3)
        changes = list[Change]()
        if state.seen is not None:
            if time < state.seen:
                _shift(state, time - state.seen)
            changes += self.check_silence(state, time)
        if state.seen is not None:
            for boundary in self._schedule.changes(state.seen, time):
                changes += self._elapse(state, boundary)
                _set_condition(state, state.holds and self._schedule.includes(boundary), boundary)
            changes += self._elapse(state, time)
        is_first = state.seen is None
        state.seen, state.holds = time, holds
        condition = holds and self._schedule.includes(time)
        if is_first:
            state.condition, state.since = condition, time
        _set_condition(state, condition, time)
        return changes + self._elapse(state, time)

    def check_silence(self, state: RuleState, now: float) -> list[Change]:
        """End what is known if the last caption is too long ago.

        Args:
            state: The state, which is updated.
            now: A time without a caption since the last one, in seconds since the Unix epoch.
        """
        if state.seen is None or now - state.seen <= MAX_GAP_S:
            return []
        end = state.seen + MAX_GAP_S
        state.seen, state.holds, state.condition = None, False, False
        return self._end(state, end)

    def is_idle(self, state: RuleState, now: float) -> bool:
        """Return whether a new state would lead to the same changes from now on."""
        return state.seen is None and not state.is_on and not self._cools_down(state, now)

    def _cools_down(self, state: RuleState, time: float) -> bool:
        # A firing in the future dates from a clock that was ahead; it must not count for as long.
        return state.fired is not None and 0 <= time - state.fired < self._rule.cool_down_s

    def _elapse(self, state: RuleState, time: float) -> list[Change]:
        """Note what has become due up to a time, until which the condition has not changed."""
        rule = self._rule
        if state.condition and not state.is_on:
            due = state.since + rule.present_s
            if due <= time:
                return [self._begin(state, due)]
        elif state.is_on and not state.condition:
            due = state.since + rule.absent_s
            if due <= time:
                return self._end(state, due)
        return []

    def _begin(self, state: RuleState, time: float) -> Change:
        state.is_on = True
        cools_down = state.fired is not None and 0 <= time - state.fired < self._rule.cool_down_s
        state.is_firing = not cools_down
        if not state.is_firing:
            return Change("suppressed", time)
        state.fired = time
        return Change("fired", time)

    def _end(self, state: RuleState, time: float) -> list[Change]:
        was_firing = state.is_on and state.is_firing
        state.is_on = state.is_firing = False
        return [Change("ended", time)] if was_firing else []


def _set_condition(state: RuleState, condition: bool, time: float) -> None:
    if condition != state.condition:
        state.condition, state.since = condition, time


def _shift(state: RuleState, step_s: float) -> None:
    """Move all times with a clock that was set back, so that durations stay what they are."""
    assert state.seen is not None
    state.seen += step_s
    state.since += step_s
    if state.fired is not None:
        state.fired += step_s
