"""Whether a caption has the words of a rule, in any of their inflections."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from inference.captioning import Tag
from models.language import base_form
from stream.captioning import CaptionEvent, display_text
from stream.history import Span, words_of
from stream.history.sqlite import Stemmer
from stream.rules.rule import Rule

_CACHED_TEXTS = 2000

Stems = frozenset[str]
"""The stems of a word by which it is compared: words match if they share one."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a caption, or a span of the history, says at a time."""

    feed: str
    time: float
    """In seconds since the Unix epoch."""
    said: str
    """The caption as `display_text`."""
    text: str
    """As `Caption.text`."""
    confidence: float | None
    """As `Caption.confidence`."""
    tags: tuple[Tag, ...]

    @classmethod
    def of_event(cls, event: CaptionEvent) -> Self:
        """Return what a caption says."""
        caption = event.caption
        return cls(
            event.stream,
            event.captured,
            display_text(caption),
            caption.text,
            caption.confidence,
            caption.tags,
        )

    @classmethod
    def of_span(cls, span: Span, time: float) -> Self:
        """Return what a span of the history says, at its beginning or its end."""
        return cls(span.feed, time, span.said, span.text, span.confidence, span.tags)


@dataclass(frozen=True, slots=True)
class Match:
    """Whether a rule's condition holds, and the words that were found."""

    holds: bool
    words: tuple[str, ...] = ()


class WordStems:
    """Stems of words, as the history's search has them, and with irregular forms such as "men"."""

    def __init__(self) -> None:
        """Prepare the stemmer; raises `HistoryError` if this Python's SQLite has none."""
        self._stemmer = Stemmer()
        self.of: Callable[[str], tuple[Stems, ...]] = lru_cache(_CACHED_TEXTS)(self._stems)
        """Returns the stems of each word of a text, in order."""

    def close(self) -> None:
        """Close the stemmer."""
        self._stemmer.close()

    def _stems(self, text: str) -> tuple[Stems, ...]:
        stems = self._stemmer.stems_of
        return tuple(frozenset({*stems(word), *stems(base_form(word))}) for word in words_of(text))


class Matcher:
    """Compares captions with the words of one rule."""

    def __init__(self, rule: Rule, stems: WordStems) -> None:
        """Prepare the words of a rule."""
        self._rule, self._stems = rule, stems
        self._terms = {term: stems.of(term) for term in (*rule.any, *rule.all, *rule.none)}

    def match(self, observation: Observation) -> Match:
        """Compare what a caption says with the rule."""
        rule, texts = self._rule, self._texts(observation)
        found = {
            term for term, words in self._terms.items() if any(_contains(t, words) for t in texts)
        }
        holds = (
            (not rule.any or any(term in found for term in rule.any))
            and all(term in found for term in rule.all)
            and not any(term in found for term in rule.none)
        )
        wanted = dict.fromkeys((*rule.any, *rule.all))
        return Match(holds, tuple(term for term in wanted if term in found))

    def _texts(self, observation: Observation) -> list[Sequence[Stems]]:
        """Return the stems of the texts that count."""
        rule, texts = self._rule, list[str]()
        if rule.look_in != "objects" and self._counts(observation.confidence):
            texts.append(observation.text)
        if rule.look_in != "caption":
            texts += [tag.text for tag in observation.tags if self._counts(tag.prob)]
        return [self._stems.of(text) for text in texts]

    def _counts(self, confidence: float | None) -> bool:
        return self._rule.confidence == 0 or (
            confidence is not None and confidence >= self._rule.confidence
        )


def _contains(text: Sequence[Stems], words: Sequence[Stems]) -> bool:
    """Return whether words stand side by side in a text."""
    return any(
        all(not each.isdisjoint(text[place + offset]) for offset, each in enumerate(words))
        for place in range(len(text) - len(words) + 1)
    )
