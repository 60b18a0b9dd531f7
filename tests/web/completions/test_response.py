"""The response to a chat completion: tokens, log-probabilities, where it is cut, and its chunks."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from inference.captioning.caption import Alternative, Caption, Word
from models.language import sentence
from tests.support.captions import confident_caption, shorter_fallback, tags_fallback
from web.completions import Completion, CompletionRequest

DOG = confident_caption("A dog runs")


def caption_of(*words: tuple[str, float]) -> Caption:
    caption = confident_caption(sentence(text for text, _ in words))
    others = (Alternative("the", 0.3), Alternative("'s", 0.0), Alternative("two", 0.01))
    return replace(caption, words=tuple(Word(text, prob, others) for text, prob in words))


def complete(caption: Caption, **parameters: Any) -> Completion:
    body = {"model": "sightline", "messages": [{"role": "user"}], **parameters}
    return Completion.of(CompletionRequest.parse(json.dumps(body).encode()), caption, "lite2")


def whole(caption: Caption, **parameters: Any) -> ChatCompletion:
    return ChatCompletion.model_validate(complete(caption, **parameters).to_json())


def content(completion: ChatCompletion) -> str:
    return completion.choices[0].message.content or ""


def test_the_tokens_joined_are_the_text() -> None:
    caption = caption_of(("a", 0.9), ("dog", 0.5), ("'s", 1.0), ("ball", 0.0))
    completion = whole(caption, logprobs=True)
    logprobs = completion.choices[0].logprobs
    assert logprobs and logprobs.content

    tokens = [token.token for token in logprobs.content]
    assert tokens == ["A", " dog", "'s", " ball"]
    assert content(completion) == caption.text == "A dog's ball"
    assert b"".join(bytes(token.bytes or ()) for token in logprobs.content) == b"A dog's ball"
    for token, prob in zip(logprobs.content, (0.9, 0.5, 1.0), strict=False):
        assert math.exp(token.logprob) == pytest.approx(prob, abs=1e-4)
    # 0 stands for less than half of the last digit.
    assert math.exp(logprobs.content[-1].logprob) == pytest.approx(5e-5, rel=1e-3)


def test_the_likeliest_words_of_each_place_come_first() -> None:
    caption = caption_of(("a", 0.2), ("dog", 0.5))
    logprobs = whole(caption, logprobs=True, top_logprobs=3).choices[0].logprobs
    assert logprobs and logprobs.content

    places = [[top.token for top in token.top_logprobs] for token in logprobs.content]
    assert places == [["The", "A", "Two"], [" dog", " the", " two"]]
    few = whole(caption, logprobs=True).choices[0].logprobs
    assert few and few.content and few.content[0].top_logprobs == []


@pytest.mark.parametrize(
    ("parameters", "text", "reason"),
    [
        ({}, "A dog runs", "stop"),
        ({"max_tokens": 2}, "A dog", "length"),
        ({"max_completion_tokens": 1, "max_tokens": 9}, "A", "length"),
        ({"max_tokens": 3}, "A dog runs", "stop"),
        ({"stop": " runs"}, "A dog", "stop"),
        ({"stop": ["x", "og", "dog"]}, "A ", "stop"),
        ({"stop": ["\n", "", "zebra"]}, "A dog runs", "stop"),
        ({"stop": "A"}, "", "stop"),
        ({"stop": "runs", "max_tokens": 1}, "A", "length"),
    ],
)
def test_the_text_is_cut_as_requested(parameters: dict[str, Any], text: str, reason: str) -> None:
    completion = whole(DOG, logprobs=True, **parameters)
    (choice,) = completion.choices
    assert choice.logprobs and choice.logprobs.content is not None

    assert (content(completion), choice.finish_reason) == (text, reason)
    assert "".join(token.token for token in choice.logprobs.content) == text
    assert completion.usage
    assert completion.usage.completion_tokens == len(choice.logprobs.content)


@pytest.mark.parametrize(
    ("caption", "text", "has_probabilities"),
    [
        (shorter_fallback("A dog", "A dog flies a kite"), "A dog", True),
        (tags_fallback("A dog flies", dog=0.9, tennis_ball=0.8), "Dog, tennis_ball", True),
        (replace(tags_fallback("A dog flies"), text=""), "Not sure.", False),
        (replace(DOG, text="", words=()), "No caption for this frame.", False),
        (
            replace(DOG, text="", words=(), fallback="blank"),
            "Nothing to describe: the frame is blank.",
            False,
        ),
        (
            replace(tags_fallback("A dog flies"), text="dog, kite", fallback="words"),
            "dog, kite",
            False,
        ),
        (replace(DOG, confidence=None, words=()), "A dog runs", False),
        (
            replace(DOG, words=tuple(replace(word, prob=None) for word in DOG.words)),
            DOG.text,
            False,
        ),
        (replace(DOG, text="Ein Hund rennt"), "Ein Hund rennt", False),
        (replace(DOG, text="A dog runs."), "A dog runs.", True),
    ],
)
def test_the_content_is_what_is_likely_to_be_right(
    caption: Caption, text: str, has_probabilities: bool
) -> None:
    completion = whole(caption, logprobs=True)
    logprobs = completion.choices[0].logprobs

    assert content(completion) == text
    assert (logprobs is not None) == has_probabilities
    if logprobs:
        assert "".join(token.token for token in logprobs.content or ()) == text
    assert completion.model_extra and completion.model_extra["sightline"] == {
        "confidence": caption.confidence,
        "fallback": caption.fallback,
        "guess": caption.guess,
        "runner_up": caption.runner_up,
        "instead_of": caption.instead_of,
        "words": [{"text": word.text, "confidence": word.confidence} for word in caption.words],
        "tags": [{"text": tag.text, "prob": tag.prob} for tag in caption.tags],
    }


@pytest.mark.parametrize("usage", [True, False])
def test_the_chunks_together_are_the_completion(usage: bool) -> None:
    parameters = {"logprobs": True, "max_tokens": 2, "stream_options": {"include_usage": usage}}
    completion = complete(DOG, **parameters)
    expected = ChatCompletion.model_validate(completion.to_json())
    chunks = [ChatCompletionChunk.model_validate(chunk) for chunk in completion.chunks()]

    first, *middle, last = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert (first.delta.role, first.delta.content) == ("assistant", "")
    assert [choice.delta.content for choice in middle] == ["A", " dog"]
    tokens = [token for choice in middle for token in (choice.logprobs or last).content]  # type: ignore[union-attr]
    assert expected.choices[0].logprobs and tokens == expected.choices[0].logprobs.content
    assert [choice.finish_reason for choice in (first, *middle, last)] == [None] * 3 + ["length"]
    assert {(chunk.id, chunk.created, chunk.model) for chunk in chunks} == {
        (expected.id, expected.created, "lite2")
    }
    reported = [chunk.usage for chunk in chunks if chunk.usage]
    assert reported == ([expected.usage] if usage else [])
