"""Measure searches in a large history in PostgreSQL; prints medians and 95th percentiles."""

import argparse
import json
import math
import random
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import psycopg
from psycopg import sql

from models.catalogue import SHIPPED_FOLDER
from models.language import tokenize
from stream.history import HistoryBusy, HistoryQuery
from stream.history.postgres import PostgresReader, PostgresStore
from stream.history.postgres.lexemes import Lexemes
from stream.history.postgres.partitions import Partitions
from stream.history.span import MICROSECONDS
from tests.bench.machine import load_average
from tests.support.postgres import PostgresServer

_CAPTIONS, _FEEDS, _DAYS = 100_000, 50, 90.0
_MEGABYTES = 100_000.0
_TOKEN_BITS, _MAX_WORDS = 16, 24
_OBJECTS = ("man", "dog", "laptop", "bicycle", "car", "cup", "cat", "chair")
_PAGE, _BUCKETS = 50, 60
_TIMELINE_ROUNDS = 3

# Each span takes a caption at random, and the spans are spread evenly over time and feeds.
_FILL = """
INSERT INTO {table} (id, feed, ended, captions, text, guess, said, confidence, tags, words)
SELECT id, 'camera-' || (id / {step} %% {feeds}), (id + {step}::bigint * {feeds}) / 1e6, 5,
  text, '', NULL, 0.5, tags, words
FROM (
  SELECT number * {step}::bigint AS id, 1 + floor(random() * {captions})::int AS caption
  FROM generate_series(%s::bigint, %s::bigint) AS number
) AS made JOIN bench_captions ON bench_captions.number = caption
"""


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.history", description=__doc__)
    parser.add_argument("--spans", type=int, default=10_000_000, help="spans in the history")
    parser.add_argument("--rounds", type=int, default=20, help="searches of each kind")
    options = parser.parse_args()
    server = PostgresServer(settings={"max_wal_size": "8GB", "checkpoint_timeout": "30min"})
    try:
        url = server.url(server.create_database())
        began = time.monotonic()
        captions = list(made_captions(random.Random(1)))
        _fill(url, captions, options.spans)
        filled_s = time.monotonic() - began
        figures = _measure(url, captions, options.spans, options.rounds)
    finally:
        server.stop()
    print(
        f"{options.spans:,} spans, made in {filled_s:.0f} s; load average {load_average()[0]:.1f}"
    )
    print(f"{figures.pop('bytes') / options.spans:.0f} bytes a span with its indexes")
    for name, times in figures.items():
        p95 = sorted(times)[int(0.95 * (len(times) - 1))]
        print(f"{name:44} median {statistics.median(times):8.1f} ms   p95 {p95:8.1f} ms")
    return 0


def _fill(url: str, captions: list[str], spans: int) -> None:
    """Write spans that end now, without gaps, into partitions as the server makes them."""
    store = PostgresStore(url, _DAYS, _MEGABYTES)
    store.close()
    step = int(_DAYS * 86_400 * MICROSECONDS / spans)
    last = int(time.time() * MICROSECONDS) // step
    partitions = Partitions(_DAYS, _MEGABYTES * 1e6)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path = sightline_history")
        connection.execute("SET maintenance_work_mem = '512MB'")
        _store_captions(connection, captions)
        number = last - spans
        while number < last:
            partition = partitions.plan(partitions.find(connection), number * step, _DAYS * 86_400)
            end = min(last, -(-partition.end // step))
            fill = sql.SQL(_FILL).format(
                table=partition.table,
                step=sql.Literal(step),
                feeds=sql.Literal(_FEEDS),
                captions=sql.Literal(_CAPTIONS),
            )
            with connection.transaction():
                partitions.create_table(connection, partition)
                connection.execute(fill, (number, end - 1))
                partitions.attach(connection, partition)
            number = end
            print(f"\r{spans - last + number:,} of {spans:,} spans", end="", file=sys.stderr)
        print(file=sys.stderr)
        connection.execute("DROP TABLE bench_captions")
        connection.execute("VACUUM ANALYZE spans")


def _store_captions(connection: psycopg.Connection[Any], captions: Iterable[str]) -> None:
    connection.execute(
        "CREATE UNLOGGED TABLE bench_captions "
        "(number int PRIMARY KEY, text text, tags text, words tsvector)"
    )
    lexemes, chance = Lexemes(), random.Random(2)
    with connection.cursor() as cursor, cursor.copy("COPY bench_captions FROM STDIN") as copy:
        for number, text in enumerate(captions, 1):
            objects = chance.sample(_OBJECTS, chance.choice((0, 0, 1, 2)))
            tags = json.dumps([(name, 0.9) for name in objects])
            copy.write_row((number, text, tags, lexemes.vector(text, "", " ".join(objects))))
    connection.execute("ANALYZE bench_captions")
    lexemes.close()


def made_captions(chance: random.Random) -> Iterator[str]:
    """Yield captions from the n-grams of the shipped captioner's training captions."""
    words = (SHIPPED_FOLDER / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
    arrays = np.load(SHIPPED_FOLDER / "consensus.npz")
    follows: defaultdict[tuple[int, ...], dict[int, int]] = defaultdict(dict)
    mask = (1 << _TOKEN_BITS) - 1
    for ngram, count in zip(arrays["ngrams"].tolist(), arrays["frequency"].tolist(), strict=True):
        tokens = list[int]()
        while ngram:
            tokens.insert(0, ngram & mask)
            ngram >>= _TOKEN_BITS
        if len(tokens) < 4:
            follows[tuple(tokens[:-1])][tokens[-1]] = count
    chains = {key: (list(each), list(each.values())) for key, each in follows.items()}
    first = [words.index(word) for word in ("a", "the", "two", "an", "three", "people", "man")]
    end, made = words.index("<end>"), 0
    while made < _CAPTIONS:
        tokens = chance.choices(first, (60, 10, 10, 5, 3, 3, 1))
        while tokens[-1] != end and len(tokens) < _MAX_WORDS:
            chain = chains.get(tuple(tokens[-2:])) or chains.get((tokens[-1],))
            if chain is None:
                break
            tokens += chance.choices(*chain)
        if tokens[-1] == end and len(tokens) > 5:
            made += 1
            yield " ".join(words[token] for token in tokens[:-1]).capitalize()


def _measure(url: str, captions: list[str], spans: int, rounds: int) -> dict[str, Any]:
    reader = PostgresReader(url)
    now = time.time()
    rare = _rare_words(captions)
    begin, end = now - 40 * 86_400, now - 40 * 86_400 + 3600

    def page(
        words: str | None = None,
        feed: str | None = None,
        begin: float | None = None,
        end: float | None = None,
        before: int | None = None,
    ) -> Callable[[], object]:
        query = HistoryQuery.parse(feed, begin, end, words)
        return lambda: reader.newest(query, _PAGE, before)

    searches: dict[str, Callable[[], object]] = {
        "newest page": page(),
        "page in the middle": page(before=int((now - 45 * 86_400) * MICROSECONDS)),
        "common word: man": page("man"),
        "two common words: man dog": page("man dog"),
        "phrase: 'red jacket'": page('"red jacket"'),
        "beginning: surf*": page("surf*"),
        "either: kite OR skateboard": page("kite OR skateboard"),
        "excluded: dog -man": page("dog -man"),
        "word and feed": page("umbrella", feed="camera-7"),
        "feed and an hour": page(None, "camera-7", begin, end),
        "word, feed and an hour": page("man", "camera-7", begin, end),
        "word that does not occur": page("xylophonist"),
    }
    for count, words in rare.items():
        about = f"{words[0]} ({count * spans // _CAPTIONS:,} spans)"
        searches[f"rare word: {about}"] = page(words[0])
        searches[f"two rare words: {' '.join(words)}"] = page(" ".join(words))
        searches[f"rare and common: {words[0]} man"] = page(f"{words[0]} man")
    figures: dict[str, Any] = {"bytes": reader.bytes()}
    for name, search in searches.items():
        search()
        figures[name] = [_time_ms(search) for _ in range(rounds)]
    for word in (None, "man", next(iter(rare.values()))[0]):
        timeline = partial(reader.timeline, HistoryQuery.parse(None, None, None, word), _BUCKETS)
        times = [_time_ms(timeline) for _ in range(_TIMELINE_ROUNDS)]
        figures[f"timeline: {word or 'all'}"] = times
    reader.close()
    return figures


def _rare_words(captions: Iterable[str]) -> dict[int, list[str]]:
    """Return two words each of several frequencies, by the number of captions with them."""
    counts = Counter(word for text in captions for word in set(tokenize(text)) if len(word) > 4)
    rows = sorted(counts.items(), key=lambda row: row[::-1])
    found = {}
    for wanted in (1, 10, 100, 1000):
        at = next(index for index, (_, count) in enumerate(rows) if count >= wanted)
        found[rows[at][1]] = [rows[at][0], rows[at + 1][0]]
    return found


def _time_ms(work: Callable[[], object]) -> float:
    """Return how long it took; infinite if it was aborted after 5 s, as for a user."""
    began = time.perf_counter()
    try:
        work()
    except HistoryBusy:
        return math.inf
    return 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
