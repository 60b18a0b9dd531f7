"""Measure which captions a search finds, and how fast it is in a large SQLite file.

Quality: 50 short queries (`search_queries.tsv`), each a paraphrase of a caption of a COCO image,
which was written before any result was seen. Relevant are the captions of that image. Compared are
the words alone, synonyms, and word vectors trained on captions (see `_WordVectors`).
"""

import argparse
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import svds

from models.language import content_words, tokenize
from stream.history import MATCHES, HistoryQuery, Match, with_match, with_synonyms
from stream.history.search_text import AllOf, AnyOf
from stream.history.sqlite import SqliteReader, SqliteStore
from stream.history.sqlite.conditions import condition_of
from tests.bench.history import made_captions
from tests.bench.machine import load_average

_QUERIES = Path(__file__).parent / "search_queries.tsv"
_TOP, _ORDERS, _RESAMPLES = 10, 5, 10_000
_DIMENSIONS, _MIN_COUNT = 100, 3
_RARITY = 1e-3
"""Weight of frequent words in a caption's vector: Arora et al., "A Simple but Tough-to-Beat
Baseline for Sentence Embeddings", ICLR 2017."""
_PAGE, _TEXTS = 50, 30_000

Caption = tuple[str, str]
"""An image and one of its captions."""
Ranking = Callable[[str], list[int]]
"""Returns the numbers of the first captions that a query finds."""


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.search", description=__doc__)
    parser.add_argument(
        "captions",
        type=Path,
        nargs="*",
        help="files of captions (image, split, caption): COCO's first; `dev` is searched, the rest "
        "trains the word vectors",
    )
    parser.add_argument("--spans", type=int, default=0, help="spans of the file to measure speed")
    options = parser.parse_args()
    queries = [line.split("\t") for line in _QUERIES.read_text(encoding="utf-8").splitlines()]
    if options.captions:
        _measure_quality(queries, *_read(options.captions))
    if options.spans:
        _measure_speed([query for _, query in queries], options.spans)
    return 0


def _read(paths: Sequence[Path]) -> tuple[list[Caption], dict[str, list[str]]]:
    """Return the captions to search, and those to train with by their images."""
    searched: list[Caption] = []
    trained = defaultdict(list)
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            image, split, caption = line.split("\t")
            name = Path(image).stem if path == paths[0] else f"{path}/{image}"
            if split == "dev":
                searched.append((name, caption))
            else:
                trained[name].append(caption)
    return searched, trained


def _measure_quality(
    queries: list[list[str]], captions: list[Caption], trained: dict[str, list[str]]
) -> None:
    relevant = [
        {number for number, (image, _) in enumerate(captions) if image == wanted}
        for wanted, _ in queries
    ]
    print(f"{len(captions):,} captions, {len(queries)} queries; mean and 95% interval (bootstrap)")
    rows: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(_ORDERS):
            # The history returns the latest first, so its ranking depends on when things were seen.
            order = random.Random(seed).sample(range(len(captions)), len(captions))
            path = Path(folder) / f"{seed}.sqlite"
            _fill(path, [captions[number][1] for number in order], len(captions))
            for name, ranking in _rankings(path).items():
                found = [[order[place] for place in ranking(query)] for _, query in queries]
                rows[name].append(_scores(found, relevant))
    vectors = _WordVectors([text for _, text in captions], trained)
    rows["word vectors, ranked"] = [
        _scores([vectors.find(query) for _, query in queries], relevant)
    ]
    means = {name: np.mean(scores, axis=0) for name, scores in rows.items()}
    for name, (recall, gain) in means.items():
        print(f"{name:34} recall@10 {_interval(recall)}  nDCG@10 {_interval(gain)}")
    for ours, other in (
        ("exact, similar, partial: latest", "exact: latest"),
        ("synonyms, any word, ranked", "any word, ranked"),
        ("word vectors, ranked", "synonyms, any word, ranked"),
        ("word vectors, ranked", "exact, similar, partial: latest"),
    ):
        recall, gain = means[ours] - means[other]
        print(f"{ours} minus {other}: {_interval(recall)}, {_interval(gain)}")


def _rankings(path: Path) -> dict[str, Ranking]:
    """Return the history's own searches, and rankings by BM25 of any of the words."""
    reader = SqliteReader(path)
    connection = sqlite3.connect(path)

    def listed(count: int) -> Ranking:
        def find(text: str) -> list[int]:
            found: list[int] = []
            for match in MATCHES[:count]:
                if query := with_match(HistoryQuery.parse(None, None, None, text), match):
                    found += [span.id for span in reader.newest(query, _TOP, None)]
            return found[:_TOP]

        return find

    def ranked(widen: Callable[[HistoryQuery], HistoryQuery]) -> Ranking:
        def find(text: str) -> list[int]:
            words = widen(HistoryQuery.parse(None, None, None, text)).words
            parts = words.significant if isinstance(words, AllOf) else (words,)
            match = condition_of(AnyOf(tuple(part for part in parts if part))).match
            sql = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?"
            return [number for (number,) in connection.execute(sql, (match, _TOP))]

        return find

    return {
        "exact: latest": listed(1),
        "exact, similar: latest": listed(2),
        "exact, similar, partial: latest": listed(3),
        "any word, ranked": ranked(lambda query: query),
        "synonyms, any word, ranked": ranked(with_synonyms),
    }


class _WordVectors:
    """Captions ranked by the cosine of mean word vectors.

    Two words are similar if people use them for the same images: the vectors factorise the positive
    pointwise mutual information of words of captions of the same image (Levy and Goldberg, "Neural
    Word Embedding as Implicit Matrix Factorization", NeurIPS 2014).
    """

    def __init__(self, captions: Sequence[str], trained: dict[str, list[str]]) -> None:
        self._counts = Counter(
            word for texts in trained.values() for text in texts for word in tokenize(text)
        )
        words = [word for word, count in self._counts.items() if count >= _MIN_COUNT]
        self._rows = {word: row for row, word in enumerate(filter(content_words, words))}
        self._total = self._counts.total()
        together: Counter[tuple[int, int]] = Counter()
        for texts in trained.values():
            bags = [{self._rows[w] for w in tokenize(text) if w in self._rows} for text in texts]
            for one in bags:
                for other in bags:
                    pairs = ((a, b) for a in one for b in other if a != b or one is not other)
                    together.update(pairs)
        self._vectors = self._factorise(together)
        self._captions = np.stack([self._mean(text) for text in captions])

    def find(self, query: str) -> list[int]:
        """Return the numbers of the most similar captions."""
        similar = self._captions @ self._mean(query)
        return [int(number) for number in np.argsort(-similar, kind="stable")[:_TOP]]

    def _factorise(self, together: Counter[tuple[int, int]]) -> NDArray[np.float64]:
        places, values = np.array(list(together)), np.array(list(together.values()), float)
        sums = np.bincount(places[:, 0], values, len(self._rows))
        context = sums**0.75
        chance = sums[places[:, 0]] * context[places[:, 1]] / context.sum()
        information = np.maximum(0, np.log(values / chance))
        shape = (len(self._rows), len(self._rows))
        left, singular, _ = svds(
            coo_matrix((information, tuple(places.T)), shape).tocsr(), _DIMENSIONS, random_state=0
        )
        vectors: NDArray[np.float64] = left * np.sqrt(singular)
        vectors /= np.maximum(1e-9, np.linalg.norm(vectors, axis=1, keepdims=True))
        return vectors

    def _mean(self, text: str) -> NDArray[np.float64]:
        total = np.zeros(_DIMENSIONS)
        for word in tokenize(text):
            if word in self._rows:
                share = self._counts[word] / self._total
                total += self._vectors[self._rows[word]] * _RARITY / (_RARITY + share)
        total /= max(1e-9, float(np.linalg.norm(total)))
        return total


def _scores(found: list[list[int]], relevant: list[set[int]]) -> NDArray[np.float64]:
    """Return recall@10 and nDCG@10 of each query, [2, queries]."""
    gains = 1 / np.log2(np.arange(2, _TOP + 2))
    rows = []
    for numbers, wanted in zip(found, relevant, strict=True):
        hits = np.array([number in wanted for number in numbers] + [False] * (_TOP - len(numbers)))
        count = min(_TOP, len(wanted))
        rows.append((hits.sum() / count, (hits * gains).sum() / gains[:count].sum()))
    return np.array(rows).T


def _interval(values: NDArray[np.float64]) -> str:
    chosen = np.random.default_rng(0).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.quantile(values[chosen].mean(axis=1), (0.025, 0.975))
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"


def _fill(path: Path, texts: Sequence[str], spans: int, step: int = 1) -> None:
    """Write spans with ids 0, `step`, ...; the captions one after the other, or at random."""
    SqliteStore(path, 36_500, 1_000_000).close()
    chance = random.Random(1)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    chosen = texts if len(texts) == spans else [chance.choice(texts) for _ in range(spans)]
    connection.executemany(
        "INSERT INTO spans VALUES (?, ?, ?, 5, ?, '', NULL, ?, 0.5, '[]', '')",
        (
            (number * step, f"camera-{number % 10}", number * step / 1e6 + 60, text, text)
            for number, text in enumerate(chosen)
        ),
    )
    connection.commit()
    connection.close()


def _measure_speed(queries: Sequence[str], spans: int) -> None:
    texts = list(islice(made_captions(random.Random(1)), _TEXTS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.sqlite"
        _fill(path, texts, spans, int(90 * 86_400 * 1e6 / spans))
        size = path.stat().st_size / spans
        print(f"{spans:,} spans of {size:.0f} bytes; load average {load_average()[0]:.1f}")
        reader = SqliteReader(path)
        for match in MATCHES:
            times = sorted(_times_ms(reader, queries, match))
            p95 = times[int(0.95 * (len(times) - 1))]
            print(
                f"{match:8} {len(times)} queries: median {statistics.median(times):.1f} ms, "
                f"p95 {p95:.1f} ms, longest {times[-1]:.1f} ms"
            )
        reader.close()


def _times_ms(reader: SqliteReader, queries: Sequence[str], match: Match) -> Iterator[float]:
    for text in queries:
        if query := with_match(HistoryQuery.parse(None, None, None, text), match):
            began = time.perf_counter()
            reader.newest(query, _PAGE, None)
            yield 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
