"""Copying a history from a file into PostgreSQL."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stream.history import (
    Firing,
    FiringQuery,
    HistoryError,
    HistoryQuery,
    HistorySettings,
    Picture,
    PictureLimits,
    Span,
    copying,
)
from stream.history.backend import choose_backend
from stream.history.copying import copy_history
from stream.history.postgres import BulkWriter, PostgresStore
from stream.history.reader import HistoryReader
from tests.stream.history.test_lexemes import WORDS
from tests.support.captions import BASE_TIME, caption_event, confident_caption, shorter_fallback

ROOT = Path(__file__).parents[3]
ALL = HistoryQuery(end=4e9)
DAY_S = 86_400.0


def fill(path: Path, count: int, *, every_s: float = 3600.0) -> None:
    store = choose_backend(path, None).open_store(36_500, 1000)
    captions = [
        confident_caption(f"A {WORDS[number % len(WORDS)]} number {number}", dog=0.9)
        for number in range(count)
    ]
    captions[1] = shorter_fallback("A man\0sits", "A man sits on a sofa")
    store.add_all(caption_event(each, every_s * at) for at, each in enumerate(captions))
    store.close()


def read(reader: HistoryReader) -> list[Span]:
    found, after = list[Span](), None
    while page := reader.oldest(ALL, 500, after):
        found += page
        after = page[-1].id
    reader.close()
    return found


def of_file(path: Path) -> list[Span]:
    return read(choose_backend(path, None).open_reader())


def of_database(url: str) -> list[Span]:
    return read(choose_backend(None, url).open_reader())


def copy(path: Path, url: str | None, megabytes: float = 500) -> int:
    settings = HistorySettings(path=path, days=36_500, megabytes=megabytes)
    return copy_history(settings, url, lambda *_: None)[0]


def test_all_spans_are_copied_and_found_and_copying_again_changes_nothing(
    path: Path, history_url: str
) -> None:
    fill(path, 1000)

    assert copy(path, history_url) == 1000
    copied = of_database(history_url)
    assert copied == of_file(path)
    assert copy(path, history_url) == 1000
    assert of_database(history_url) == copied

    readers = [choose_backend(path, None).open_reader()]
    readers.append(choose_backend(None, history_url).open_reader())
    for words in ("dogs", '"running"', "naïve -dog", "strasse OR straße", "sofa"):
        query = HistoryQuery.parse(None, None, 4e9, words)
        in_file, in_database = (reader.newest(query, 500, None) for reader in readers)
        assert in_file == in_database
    for reader in readers:
        reader.close()


def test_a_server_that_writes_meanwhile_keeps_its_spans(path: Path, history_url: str) -> None:
    fill(path, 50, every_s=600)
    store = PostgresStore(history_url, 36_500, 100)
    # Of the same time, the same id, and later.
    store.add(caption_event("A server's own", 300, "hall"))
    store.add(caption_event("At the same moment", 600, "hall"))
    store.add(caption_event("Later", 200 * DAY_S, "hall"))

    for _ in range(2):
        assert copy(path, history_url) == 50
        spans = of_database(history_url)
        assert len(spans) == 53
        (moved,) = [span for span in spans if span.said.startswith("Not sure")]
        assert [span.text for span in spans if span.id == moved.id - 1] == ["At the same moment"]
    assert {span.text for span in of_file(path)} < {span.text for span in spans}
    store.close()


def test_spans_that_got_longer_since_they_were_copied_are_updated(
    path: Path, history_url: str
) -> None:
    store = choose_backend(path, None).open_store(36_500, 100)
    store.add(caption_event("A dog runs", 0))
    copy(path, history_url)
    store.add(caption_event("A dog runs", 2))
    store.close()
    copy(path, history_url)

    (span,) = of_database(history_url)
    assert (span.captions, span.ended - span.started) == (2, 2)


def test_copying_goes_on_where_it_was_killed(path: Path, history_url: str) -> None:
    fill(path, 4000)
    config = path.with_suffix(".toml")
    config.write_text(f'[history]\npath = "{path}"\ndays = 36500\n')
    command = [sys.executable, "server.py", "--config", str(config), "history", "copy"]
    environment = {**os.environ, "SIGHTLINE_CLUSTER__DATABASE": history_url}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        until(lambda: count(history_url) > 0)
        process.send_signal(signal.SIGKILL)
    assert count(history_url) <= 4000

    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("4,000 spans are in the database")
    assert of_database(history_url) == of_file(path)


def test_pictures_are_copied_with_their_spans(path: Path, history_url: str) -> None:
    limits = PictureLimits(36_500, 100)
    store = choose_backend(path, None).open_store(36_500, 100, limits)
    spans = [store.add(caption_event(f"Frame {at}", 60 * at)) for at in range(3)]
    pictures = [Picture(span.id, b"image of %s" % span.text.encode(), "") for span in spans if span]
    assert store.keep_pictures(pictures[:2])
    store.close()
    # The first span is moved: another one has its id.
    server = PostgresStore(history_url, 36_500, 100, limits)
    server.add(caption_event("A server's own", 0, "hall"))

    for _ in range(2):
        copy(path, history_url)
        reader = choose_backend(None, history_url).open_reader()
        copied = {
            span.text: picture.image
            for span in reader.oldest(ALL, 9, None)
            if (picture := reader.picture(span.id))
        }
        reader.close()
        assert copied == {"Frame 0": b"image of Frame 0", "Frame 1": b"image of Frame 1"}
    server.close()


def fired(at_s: float, rule: str = "dogs", ended_s: float | None = None) -> Firing:
    ended = None if ended_s is None else BASE_TIME + ended_s
    return Firing(rule, "yard", BASE_TIME + at_s, ended, "A dog!", "A dog runs", ("dog", "ball"))


def firings_of(url: str) -> list[Firing]:
    reader = choose_backend(None, url).open_reader()
    found = reader.firings(FiringQuery(), 100, None)
    reader.close()
    return [each.firing for each in found]


def test_firings_are_copied_in_order_beside_those_of_a_server(path: Path, history_url: str) -> None:
    store = choose_backend(path, None).open_store(36_500, 100)
    for at_s in (0, 5, 95):
        store.add(caption_event("A dog runs", at_s))
    ended = [fired(0, ended_s=7), fired(20, "cats", 30)]
    for firing in (*ended, fired(90)):
        store.put_firing(replace(firing, ended=None))
        if firing.ended:
            store.put_firing(firing)
    # A server has written some already, of which one lasts.
    server = PostgresStore(history_url, 36_500, 100)
    own = [fired(10, "hall", 12), fired(200, "hall")]
    for firing in own:
        server.put_firing(replace(firing, ended=None))
    server.put_firing(own[0])

    # The last one of the file lasts; it ends with the last caption.
    expected = [ended[0], own[0], ended[1], fired(90, ended_s=95), own[1]]
    for _ in range(2):
        copy(path, history_url)
        assert firings_of(history_url) == expected[::-1]

    # It goes on in the file, and the other one ends in the database.
    store.put_firing(fired(90, ended_s=120))
    store.close()
    server.put_firing(replace(own[1], ended=BASE_TIME + 210))
    server.put_firing(fired(300, "hall"))
    copy(path, history_url)
    expected[3:] = [fired(90, ended_s=120), fired(200, "hall", 210), fired(300, "hall")]
    assert firings_of(history_url) == expected[::-1]
    server.close()


def test_firings_without_captions_are_copied(path: Path, history_url: str) -> None:
    store = choose_backend(path, None).open_store(36_500, 100)
    store.put_firing(fired(0))
    store.close()

    assert copy(path, history_url) == 0
    assert firings_of(history_url) == [fired(0, ended_s=0)]


def count(url: str) -> int:
    try:
        reader = choose_backend(None, url).open_reader()
        try:
            return len(reader.oldest(ALL, 500, None))
        finally:
            reader.close()
    except HistoryError:
        return 0


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_is_missing_is_reported(path: Path, history_url: str) -> None:
    fill(path, 10)
    writer = BulkWriter(history_url, 90, 100)
    spans = of_file(path)
    assert sum(writer.write(spans[:6], 1.0)) == 6
    assert writer.missing([span.id for span in spans]) == [span.id for span in spans[6:]]
    assert sum(writer.write([replace(spans[6], feed="hall")], 1.0)) == 1
    writer.close()


@pytest.mark.parametrize("is_directory", [True, False])
def test_settings_that_name_no_history_are_refused(
    path: Path, history_url: str, is_directory: bool
) -> None:
    with pytest.raises(HistoryError, match="does not exist"):
        copy(path.parent if is_directory else path, history_url)
    assert not path.exists()
    with pytest.raises(HistoryError, match=r"set database in \[cluster\]"):
        copy(path, None)
    with pytest.raises(HistoryError, match=r"set path in \[history\]"):
        copy_history(HistorySettings(), history_url, lambda *_: None)


def test_a_file_that_is_no_history_is_refused(path: Path, history_url: str) -> None:
    path.write_bytes(b"GIF89a" * 500)

    with pytest.raises(HistoryError, match="not a history"):
        copy(path, history_url)


def test_a_file_of_several_pages_and_feeds_is_copied_in_order(
    path: Path, history_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_PAGE", 30)
    store = choose_backend(path, None).open_store(36_500, 100)
    store.add_all(
        caption_event(f"Frame {at}", at, feed) for at in range(150) for feed in ("yard", "door")
    )
    store.close()

    assert copy(path, history_url) == 300
    assert of_database(history_url) == of_file(path)
