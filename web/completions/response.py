"""The response to a chat completion: the caption in words as tokens, whole or in chunks.

https://platform.openai.com/docs/api-reference/chat/object. A word is a token, with the space before
it, so that all tokens joined are the text.
"""

import math
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from inference.captioning import Caption
from stream.captioning import display_text
from web.completions.request import CompletionRequest

_ID_BYTES = 12
_MIN_PROB = 5e-5
"""Probabilities are rounded to four digits; the logarithm of 0 is not in JSON."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Token:
    """A word of the response."""

    text: str
    """With the space before it."""
    prob: float | None = None
    """None if the captioner gives none."""
    others: tuple[tuple[str, float], ...] = ()
    """The most probable other words in its place, and their probabilities."""


@dataclass(frozen=True, slots=True)
class Completion:
    """The response to a request."""

    request: CompletionRequest
    model: str
    """The captioner's name."""
    caption: Caption
    _tokens: Sequence[_Token]
    _finish_reason: Literal["stop", "length"]
    _id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(_ID_BYTES)}")
    _created: int = field(default_factory=lambda: int(time.time()))

    @classmethod
    def of(cls, request: CompletionRequest, caption: Caption, model: str) -> "Completion":
        """Answer a request with a caption; cut it as the request asks."""
        tokens = _cut_at(_tokens_of(caption), request.stop_texts)
        kept = tokens[: request.max_words]
        return cls(request, model, caption, kept, "length" if len(kept) < len(tokens) else "stop")

    def to_json(self) -> Json:
        """Return the whole completion."""
        choice = {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "".join(token.text for token in self._tokens),
                "refusal": None,
            },
            "logprobs": self._logprobs(self._tokens),
            "finish_reason": self._finish_reason,
        }
        head = self._head("chat.completion")
        return {**head, "choices": [choice], "usage": self._usage(), **self._extension()}

    def chunks(self) -> Iterator[Json]:
        """Yield the completion in chunks, a word each; the last one has no text."""
        yield self._chunk({"role": "assistant", "content": ""})
        for token in self._tokens:
            yield self._chunk({"content": token.text}, self._logprobs([token]))
        yield {**self._chunk({}, finish_reason=self._finish_reason), **self._extension()}
        if self._includes_usage:
            head = self._head("chat.completion.chunk")
            yield {**head, "choices": [], "usage": self._usage()}

    @property
    def _includes_usage(self) -> bool:
        options = self.request.stream_options
        return options is not None and bool(options.include_usage)

    def _head(self, kind: str) -> Json:
        return {"id": self._id, "object": kind, "created": self._created, "model": self.model}

    def _chunk(
        self, delta: Json, logprobs: Json | None = None, finish_reason: str | None = None
    ) -> Json:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        usage = {"usage": None} if self._includes_usage else {}
        return {**self._head("chat.completion.chunk"), "choices": [choice], **usage}

    def _logprobs(self, tokens: Sequence[_Token]) -> Json | None:
        if not self.request.logprobs or any(token.prob is None for token in tokens):
            return None
        return {"content": [self._logprob(token) for token in tokens], "refusal": None}

    def _logprob(self, token: _Token) -> Json:
        assert token.prob is not None
        likeliest = sorted(((token.text, token.prob), *token.others), key=lambda each: -each[1])
        top = likeliest[: self.request.top_logprobs or 0]
        return {
            **_logprob_json(token.text, token.prob),
            "top_logprobs": [_logprob_json(text, prob) for text, prob in top],
        }

    def _usage(self) -> Json:
        # No text of the request is read, so none of it counts.
        count = len(self._tokens)
        return {"prompt_tokens": 0, "completion_tokens": count, "total_tokens": count}

    def _extension(self) -> Json:
        """Return what a caption has beyond the format."""
        caption = self.caption
        details = {
            "confidence": caption.confidence,
            "fallback": caption.fallback,
            "guess": caption.guess,
            "runner_up": caption.runner_up,
            "instead_of": caption.instead_of,
            "words": [{"text": word.text, "confidence": word.confidence} for word in caption.words],
            "tags": [{"text": tag.text, "prob": tag.prob} for tag in caption.tags],
        }
        return {"sightline": details}


def _tokens_of(caption: Caption) -> list[_Token]:
    """Return the words of what is likely to be right as tokens: the caption or its fallback."""
    if caption.words and (tokens := _aligned(caption)):
        return tokens
    if caption.fallback == "tags" and caption.text:
        probs = {tag.text.lower(): tag.prob for tag in caption.tags}
        names = caption.text.split(", ")
        return [
            _Token(f", {name}" if place else name, probs.get(name.lower()))
            for place, name in enumerate(names)
        ]
    words = (caption.text or display_text(caption)).split()
    return [_Token(f" {word}" if place else word) for place, word in enumerate(words)]


def _aligned(caption: Caption) -> list[_Token]:
    """Find the words in the caption's text; empty if it is not made of them."""
    tokens: list[_Token] = []
    text, at = caption.text, 0
    for word in caption.words:
        start = text.lower().find(word.text.lower(), at)
        if start < 0:
            return []
        end = start + len(word.text)
        others = tuple(
            (_in_place_of(text[at:start], other.text, is_first=not tokens), other.prob)
            for other in word.alternatives
        )
        tokens.append(_Token(text[at:end], word.prob, others))
        at = end
    tokens[-1] = replace(tokens[-1], text=tokens[-1].text + text[at:])
    return tokens


def _in_place_of(space: str, word: str, *, is_first: bool) -> str:
    """Write another word as it would stand in the sentence."""
    if is_first:
        return word[:1].upper() + word[1:]
    return word if word.startswith("'") else (space or " ") + word


def _cut_at(tokens: Sequence[_Token], stops: Sequence[str]) -> list[_Token]:
    """Cut the text before the first of the stop texts."""
    text = "".join(token.text for token in tokens)
    found = [place for stop in stops if (place := text.find(stop)) >= 0]
    left, kept = min(found, default=len(text)), []
    for token in tokens:
        if left <= 0:
            break
        kept.append(replace(token, text=token.text[:left]))
        left -= len(token.text)
    return kept


def _logprob_json(text: str, prob: float) -> Json:
    logprob = min(0.0, round(math.log(max(prob, _MIN_PROB)), 6))
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}
