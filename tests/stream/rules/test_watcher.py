"""The watcher: from published captions to firings, across restarts and changes of the rules."""

import asyncio
import itertools
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from stream.captioning import CaptionEvent
from stream.history import Firing, HistoryQuery, Span
from stream.history.backend import choose_backend
from stream.rules import Rule, RuleWatcher, StateFile, dry_run
from tests.stream.rules.watched import MemoryStates, SlowRecord, watching
from tests.support.captions import BASE_TIME, caption_event, confident_caption

DOG = {"any": ["dog"], "present_s": 0}


def events_of(texts: str, stream: str = "yard", begin: float = 0) -> list[CaptionEvent]:
    """A caption a second: d is one of dogs, c one of a cat, and a space is none."""
    captions = {"d": "Two dogs run", "c": "A cat sits"}
    return [
        caption_event(captions[letter], begin + second, stream, second)
        for second, letter in enumerate(texts)
        if letter != " "
    ]


async def test_a_firing_says_what_was_seen_and_is_reported_with_its_caption() -> None:
    rule = {**DOG, "message": "{rule} at {feed}: {caption} ({words})", "absent_s": 2}
    async with watching({"dogs": rule}) as watched:
        watched.publish(*events_of("cd"))
        # At once, in the same callback as the caption.
        (firing,) = watched.reported
        assert firing.message == "dogs at yard: Two dogs run (dog)"
        assert firing.began == BASE_TIME + 1
        assert watched.publications.rules.lasting == {("dogs", "yard"): firing}
        assert watched.publications.rules.states == {("dogs", "yard"): True}

        watched.publish(*events_of("ccc", begin=2))
        assert watched.reported == [firing, firing.at_end(BASE_TIME + 4)]
        assert watched.publications.rules.lasting == {}
        assert watched.publications.rules.states == {("dogs", "yard"): False}


async def test_a_rule_that_flaps_fires_once_in_its_cool_down() -> None:
    rule = {**DOG, "absent_s": 0, "cool_down_s": 20}
    async with watching({"dogs": rule}) as watched:
        watched.publish(*events_of("dc" * 15))

        assert [firing.began - BASE_TIME for firing in watched.began] == [0, 20]
        assert watched.watcher.fired == {"dogs": 2}
        assert watched.watcher.suppressed == {"dogs": 13}


async def test_only_the_named_feeds_are_watched() -> None:
    rules = {"door": {**DOG, "feeds": ["door"]}, "off": {**DOG, "enabled": False}}
    async with watching(rules) as watched:
        watched.publish(*events_of("d", "yard"), *events_of("d", "door"))

        assert [(each.rule, each.feed) for each in watched.reported] == [("door", "door")]


async def test_nobody_for_a_while_is_a_rule_too() -> None:
    rule = {"none": ["dog"], "present_s": 10}
    async with watching({"empty": rule}) as watched:
        watched.publish(*events_of("dcccccdccccccccccccd"))

        assert [firing.began - BASE_TIME for firing in watched.began] == [17]


@pytest.mark.parametrize("restart", range(0, 40, 3))
async def test_states_survive_a_restart(restart: int) -> None:
    rules = {
        "dogs": {"any": ["dog"], "present_s": 3, "absent_s": 3, "cool_down_s": 10},
        "empty": {"none": ["dog"], "present_s": 5, "absent_s": 1, "cool_down_s": 0},
    }
    events = events_of("ccddddcddddcccccdddddccdccccccddddcccccc")
    async with watching(rules) as watched:
        watched.publish(*events)
        expected = watched.reported
    states = MemoryStates()
    async with watching(rules, states) as first:
        first.publish(*events[:restart])
    async with watching(rules, states) as second:
        lasting = [each for each in first.began if each.at_end(0) not in ended(first.reported)]
        assert list(second.publications.rules.lasting.values()) == lasting
        second.publish(*events[restart:])

    assert len(expected) > 6
    assert first.reported + second.reported == expected


def ended(firings: list[Firing]) -> list[Firing]:
    """The firings that ended, without the time."""
    return [firing.at_end(0) for firing in firings if firing.ended is not None]


async def test_a_changed_rule_ends_its_firing_and_starts_anew() -> None:
    async with watching({"dogs": DOG, "cats": {**DOG, "any": ["cat"]}}) as watched:
        watched.publish(*events_of("dc"))
        dogs, cats = watched.reported
        watched.watcher.configure({"cats": Rule.model_validate({**DOG, "any": ["cat"]})})

        assert watched.reported[2].ended is not None
        assert watched.reported[2].rule == "dogs"
        assert watched.publications.rules.states == {("cats", "yard"): True}
        assert list(watched.publications.rules.lasting.values()) == [cats]
        watched.watcher.configure({"dogs": Rule.model_validate(DOG)})
        watched.publish(*events_of("d", begin=3))
        assert watched.reported[-1].began == BASE_TIME + 3 > dogs.began


@pytest.mark.parametrize("later", [{}, {"dogs": {**DOG, "absent_s": 5}}])
async def test_firings_of_a_rule_that_changed_while_the_server_was_stopped_end(
    later: dict[str, dict[str, object]],
) -> None:
    states = MemoryStates()
    async with watching({"dogs": DOG}, states) as watched:
        watched.publish(*events_of("d"))
        (firing,) = watched.reported
    async with watching(later, states) as watched:
        (end,) = watched.reported
        assert end.ended is not None
        assert end.at_end(0) == firing.at_end(0)
        assert watched.publications.rules.lasting == {}
    # Only once.
    async with watching(later, states) as watched:
        assert watched.reported == []


async def test_damaged_states_start_anew(caplog: pytest.LogCaptureFixture) -> None:
    states = MemoryStates()
    async with watching({"dogs": DOG}, states) as watched:
        watched.publish(*events_of("d"))
    damaged = json.loads(states.text)
    damaged["dogs"]["feeds"]["yard"]["state"]["since"] = "yesterday"
    states.text = json.dumps(damaged)
    async with watching({"dogs": DOG}, states) as watched:
        watched.publish(*events_of("d"))
        assert len(watched.began) == 1
    assert "the stored state of rule dogs is damaged" in caplog.text


async def test_a_feed_that_goes_silent_ends_its_firing() -> None:
    async with watching({"dogs": DOG}) as watched:
        # 29 of the 40 seconds have passed.
        begin = time.time() - BASE_TIME - 39.5
        watched.publish(*events_of("d", begin=begin))
        assert watched.reported[0].ended is None
        async with asyncio.timeout(10):
            while len(watched.reported) < 2:
                await asyncio.sleep(0.05)

        assert watched.reported[1].ended == pytest.approx(BASE_TIME + begin + 30, abs=0.01)


async def test_states_of_streams_that_are_gone_do_not_add_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules[RuleWatcher.__module__], "_TICK_S", 0.02)
    rules = {"dogs": {**DOG, "cool_down_s": 0}, "rare": {**DOG, "cool_down_s": 30 * 86_400}}
    states = MemoryStates()
    # The rule that cools down still counts from its firing.
    now = time.time() - BASE_TIME - 3600
    async with watching(rules, states) as watched:
        for number in range(50):
            watched.publish(*events_of("d", f"session-{number}", now))
        async with asyncio.timeout(5):
            while watched.publications.rules.lasting or json.loads(states.text)["dogs"]["feeds"]:
                await asyncio.sleep(0.02)
        kept = json.loads(states.text)
        assert len(kept["rare"]["feeds"]) == 50

        watched.watcher.configure({"dogs": Rule(any=("dog",), cool_down_s=0)})
        async with asyncio.timeout(5):
            while watched.publications.rules.states:
                await asyncio.sleep(0.02)


async def test_of_too_many_streams_the_most_silent_one_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stream.rules.tracking._MAX_FEEDS", 2)
    async with watching({"dogs": DOG}) as watched:
        watched.publish(*events_of("d", "yard"), *events_of("d", "door", 1))
        watched.publish(*events_of("d", "yard", 2), *events_of("c", "hall", 3))
        watched.publish(*events_of("d", "yard", 4))

        ends = [(each.feed, each.ended) for each in watched.reported]
        assert ends == [("yard", None), ("door", None), ("door", BASE_TIME + 3)]
        assert watched.publications.rules.lasting.keys() == {("dogs", "yard")}


async def test_the_file_of_states_survives_and_a_damaged_one_is_replaced(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "state" / "rules.json")
    assert await file.load() == {}
    await file.store({"dogs": {"feeds": {}}})
    assert await StateFile(tmp_path / "state" / "rules.json").load() == {"dogs": {"feeds": {}}}
    assert (tmp_path / "state" / "rules.json").stat().st_mode & 0o077 == 0
    (tmp_path / "state" / "rules.json").write_text("[" * 100_000)
    assert await file.load() == {}
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["rules.json"]


@pytest.mark.parametrize("seed", range(6))
async def test_a_dry_run_over_the_history_agrees_with_the_live_rule(
    seed: int, tmp_path: Path
) -> None:
    choices = random.Random(seed)
    rule = {
        "any": ["dog", "puppies"],
        "none": ["cat"],
        "present_s": choices.choice([0, 3, 10, 45]),
        "absent_s": choices.choice([0, 4, 20]),
        "cool_down_s": choices.choice([0, 60, 200]),
        "hours": choices.choice(["", "22:00-22:20"]),
    }
    events = _random_captions(choices, 1200)
    store = choose_backend(tmp_path / "history.sqlite", None).open_store(36_500, 100)
    for event in events:
        store.add(event)
    store.flush()
    reader = choose_backend(tmp_path / "history.sqlite", None).open_reader()
    spans = reader.oldest(HistoryQuery(), 10_000, None)
    reader.close()
    store.close()

    async def pages() -> AsyncIterator[list[Span]]:
        for place in range(0, len(spans), 50):
            yield spans[place : place + 50]

    async with watching({"dogs": rule}) as watched:
        watched.publish(*events)
        live, suppressed = watched.reported, watched.watcher.suppressed["dogs"]
    found = await dry_run("dogs", Rule.model_validate(rule), pages(), events[-1].captured)

    assert len(spans) < len(events) / 2
    # The last report of each firing has its end.
    firings = {(each.began, each.feed): each for each in live}
    assert found.firings == [firings[key] for key in sorted(firings)]
    assert (found.count, found.suppressed) == (len(found.firings), suppressed)
    if seed == 0:
        assert found.count


def _random_captions(choices: random.Random, count: int) -> list[CaptionEvent]:
    """Captions of two feeds that stay the same for a while, with silences, about 22:00 o'clock."""
    local = time.localtime(BASE_TIME)
    at = (22 - local.tm_hour) * 3600 - 60 * local.tm_min - 300.0
    events = list[CaptionEvent]()
    current = {"yard": confident_caption("A cat sits"), "door": confident_caption("A dog runs")}
    for seq in range(count):
        at += choices.choice([0.5, 1, 1, 1.25]) if choices.random() > 0.004 else 90
        stream = choices.choice(["yard", "yard", "door"])
        if choices.random() < 0.07:
            text = choices.choice(["Two dogs run", "A puppy and a cat", "A cat sits", "Puppies"])
            tags = choices.choice([{}, {"dog": 0.8}, {"cat": 0.9}])
            current[stream] = confident_caption(text, 0.7, **tags)
        events.append(caption_event(current[stream], at, stream, seq))
    return events


async def test_a_dry_run_counts_what_it_does_not_list() -> None:
    spans = [Span.from_event(event) for event in events_of("dc" * 300)]
    for span, following in itertools.pairwise(spans):
        span.ended = following.started

    async def pages() -> AsyncIterator[list[Span]]:
        yield spans

    rule = Rule(any=("dog",), present_s=0, absent_s=0, cool_down_s=0, enabled=False)
    found = await dry_run("dogs", rule, pages(), BASE_TIME + 700)

    assert (found.count, len(found.firings), found.spans) == (300, 200, 600)


def _quiet_days(days: int) -> list[Span]:
    """Spans of an hour each, of a camera before which nothing happens."""
    spans = list[Span]()
    for hour in range(24 * days):
        event = caption_event(confident_caption("A cat sits"), 3600.0 * hour, "yard", hour)
        spans.append(Span.from_event(event))
        spans[-1].ended = spans[-1].started + 3599
    return spans


async def test_a_dry_run_over_too_much_ends_in_time_and_says_where(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The package has a function of the module's name.
    monkeypatch.setattr(sys.modules[dry_run.__module__], "MAX_DRY_RUN_S", 0.1)
    page = _quiet_days(400)

    async def pages() -> AsyncIterator[list[Span]]:
        while True:
            yield page

    async with asyncio.timeout(5):
        found = await dry_run("dogs", Rule(any=("dog",)), pages(), BASE_TIME)

    assert found.until is not None
    assert page[0].started < found.until


async def test_a_dry_run_that_nobody_waits_for_ends_with_its_thread() -> None:
    read = 0

    class Page(list[Span]):
        def __iter__(self) -> Iterator[Span]:
            nonlocal read
            for read, span in enumerate(super().__iter__(), 1):  # noqa: B007
                yield span

    page = Page(_quiet_days(100) * 100)

    async def pages() -> AsyncIterator[list[Span]]:
        yield page

    async with asyncio.timeout(10):
        running = asyncio.create_task(dry_run("dogs", Rule(any=("dog",)), pages(), BASE_TIME))
        while not read:
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    # Its thread does not go on, least of all with a stemmer that has been closed.
    seen = read
    await asyncio.sleep(0.1)
    assert seen == read < len(page)


QUICK = {**DOG, "absent_s": 0, "cool_down_s": 0}


async def test_of_too_many_firings_that_wait_only_the_oldest_are_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules[RuleWatcher.__module__], "_MAX_UNRECORDED", 3)
    slow = SlowRecord()
    async with watching({"dogs": QUICK}, record=slow) as watched:
        for event in events_of("dcdc"):
            watched.publish(event)
            await asyncio.sleep(0.01)
        await slow.release(4)

    # The first one was being recorded when it had to make room; the second one must not.
    assert [each.began - BASE_TIME for each in slow.recorded] == [0, 0, 2, 2]


async def test_firings_are_recorded_in_order_and_wait_for_a_slow_history() -> None:
    slow = SlowRecord()
    async with watching({"dogs": QUICK}, record=slow) as watched:
        watched.publish(*events_of("dcdc"))
        await asyncio.sleep(0.05)
        assert slow.recorded == []
        await slow.release(4)

    assert [(each.began - BASE_TIME, each.ended is None) for each in slow.recorded] == [
        (0, True),
        (0, False),
        (2, True),
        (2, False),
    ]
