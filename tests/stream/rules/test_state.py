"""The state machine of rules, against an independent computation over the whole signal."""

import itertools
import json
from collections.abc import Sequence
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.history import MAX_GAP_S
from stream.rules.rule import Rule
from stream.rules.state import Change, RuleState, StateMachine

BASE = datetime(2026, 3, 2, 12).timestamp()
"""A Monday, at noon, local time."""

Captions = Sequence[tuple[float, bool]]

steps = st.lists(
    st.tuples(st.integers(1, 40) | st.sampled_from([30, 31]), st.booleans()), max_size=60
)
rules = st.builds(
    lambda present, absent, cool: Rule(
        any=("dog",), present_s=present, absent_s=absent, cool_down_s=cool
    ),
    st.integers(0, 40),
    st.integers(0, 40),
    st.sampled_from([0, 10, 50, 300]),
)


def captions_of(steps: Sequence[tuple[int, bool]]) -> list[tuple[float, bool]]:
    times = itertools.accumulate((gap for gap, _ in steps), initial=0)
    return [(BASE + time, holds) for time, (_, holds) in zip(times, steps, strict=False)]


def changes_of(rule: Rule, captions: Captions) -> list[Change]:
    machine, state = StateMachine(rule), RuleState()
    return [change for time, holds in captions for change in machine.observe(state, time, holds)]


def firings(changes: Sequence[Change]) -> list[float]:
    return [change.time for change in changes if change.kind == "fired"]


def expected(rule: Rule, captions: Captions) -> list[tuple[str, float]]:
    """What has to happen, found second by second: all times of the tests are whole seconds."""
    found, is_on, fired, firing = list[tuple[str, float]](), False, None, False
    for run in _unbroken(captions):
        since, condition = run[0][0], run[0][1]
        at = dict(run)
        time, last = run[0][0], run[-1][0]
        while time <= last:
            for value in dict.fromkeys((condition, at.get(time, condition))):
                if value != condition:
                    condition, since = value, time
                if condition and not is_on and time - since >= rule.present_s:
                    is_on = True
                    firing = fired is None or time - fired >= rule.cool_down_s
                    fired = time if firing else fired
                    found.append(("fired" if firing else "suppressed", time))
                if not condition and is_on and time - since >= rule.absent_s:
                    is_on = False
                    if firing:
                        found.append(("ended", time))
            time += 1
        if run[-1][0] != captions[-1][0]:
            if is_on and firing:
                found.append(("ended", last + MAX_GAP_S))
            is_on = False
    return found


def _unbroken(captions: Captions) -> list[list[tuple[float, bool]]]:
    """Split captions where the feed was silent for too long."""
    runs: list[list[tuple[float, bool]]] = []
    for caption in captions:
        if not runs or caption[0] - runs[-1][-1][0] > MAX_GAP_S:
            runs.append([])
        runs[-1].append(caption)
    return runs


@given(rules, steps)
def test_a_rule_fires_if_and_only_if_the_words_were_there_for_long_enough(
    rule: Rule, steps: list[tuple[int, bool]]
) -> None:
    captions = captions_of(steps)
    found = [(change.kind, change.time) for change in changes_of(rule, captions)]

    assert found == expected(rule, captions)


@given(rules, steps)
def test_it_never_fires_twice_within_its_cool_down(
    rule: Rule, steps: list[tuple[int, bool]]
) -> None:
    times = firings(changes_of(rule, captions_of(steps)))

    assert all(later - time >= rule.cool_down_s for time, later in itertools.pairwise(times))


@given(rules, steps, st.data())
def test_a_restart_at_any_point_changes_nothing(
    rule: Rule, steps: list[tuple[int, bool]], data: st.DataObject
) -> None:
    captions = captions_of(steps)
    restart = data.draw(st.integers(0, len(captions)))
    machine, state, changes = StateMachine(rule), RuleState(), list[Change]()
    for number, (time, holds) in enumerate(captions):
        if number == restart:
            machine = StateMachine(rule)
            state = RuleState.from_json(json.loads(json.dumps(state.to_json())))
        changes += machine.observe(state, time, holds)

    assert changes == changes_of(rule, captions)


@given(rules, steps, st.lists(st.integers(0, 100), max_size=10))
def test_a_caption_that_repeats_the_last_one_changes_nothing(
    rule: Rule, steps: list[tuple[int, bool]], places: list[int]
) -> None:
    captions = captions_of(steps)
    dense = list(captions)
    for (time, holds), (later, _) in itertools.pairwise(captions):
        # Not into a silence, of which nothing is known.
        if later - time <= MAX_GAP_S:
            dense += [(time + place % (later - time), holds) for place in places]

    assert changes_of(rule, sorted(dense, key=lambda each: each[0])) == changes_of(rule, captions)


@given(rules, steps)
def test_a_clock_that_is_set_back_moves_everything_and_changes_nothing(
    rule: Rule, steps: list[tuple[int, bool]]
) -> None:
    captions = captions_of(steps)
    half = len(captions) // 2
    machine, state = StateMachine(rule), RuleState()
    for time, holds in captions[:half]:
        machine.observe(state, time, holds)
    before = RuleState.from_json(state.to_json())
    later = [machine.observe(before, time, holds) for time, holds in captions[half:]]
    if half == 0 or state.seen is None:
        return
    # The caption after the step starts the count again where the last one stood.
    shift = 3600.0
    moved = [machine.observe(state, state.seen - shift, captions[half - 1][1])]
    moved += [machine.observe(state, time - shift, holds) for time, holds in captions[half:]]

    kinds = [change.kind for changes in later for change in changes]
    assert [change.kind for changes in moved for change in changes] == kinds


def test_a_silent_feed_ends_its_firing() -> None:
    machine, state = StateMachine(Rule(any=("dog",), present_s=0)), RuleState()
    assert machine.observe(state, BASE, True) == [Change("fired", BASE)]

    assert machine.check_silence(state, BASE + MAX_GAP_S) == []
    assert machine.check_silence(state, BASE + 50) == [Change("ended", BASE + MAX_GAP_S)]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_firing_of_a_clock_that_was_ahead_delays_no_other(is_restarted: bool) -> None:
    machine, state = StateMachine(Rule(any=("dog",), present_s=0)), RuleState()
    ahead = BASE + 5 * 365 * 86_400
    machine.observe(state, ahead, True)
    machine.check_silence(state, ahead + 50)
    if is_restarted:
        state = RuleState.from_json(state.to_json())

    assert machine.observe(state, BASE, True) == [Change("fired", BASE)]
    machine.check_silence(state, BASE + 50)
    # From then on the cool-down holds as ever.
    assert machine.observe(state, BASE + 55, True) == [Change("suppressed", BASE + 55)]


@pytest.mark.parametrize(
    ("hours", "days", "expected"),
    [
        ("12:01-12:03", (), [60]),
        ("22:00-06:00", (), [10 * 3600]),
        # Tuesday's night begins on Tuesday.
        ("22:00-06:00", ("tue",), [34 * 3600]),
        ("06:00-12:30", ("wed",), [42 * 3600]),
        ("", ("tue",), [12 * 3600]),
    ],
)
def test_hours_open_and_close_between_captions(
    hours: str, days: tuple[str, ...], expected: list[float]
) -> None:
    rule = Rule.model_validate(
        {"any": ["dog"], "hours": hours, "days": days, "present_s": 0, "absent_s": 0}
    )
    captions = [(BASE + 29 * number, True) for number in range(48 * 3600 // 29)]
    times = firings(changes_of(rule, captions))

    assert [time - BASE for time in times][:1] == expected


@pytest.mark.parametrize("damaged", [{}, {"seen": "now"}, {"holds": 3}, {"fired": []}])
def test_a_damaged_state_is_rejected(damaged: dict[str, object]) -> None:
    values = {**RuleState().to_json(), **damaged} if damaged else {}
    with pytest.raises(TypeError):
        RuleState.from_json(values)
