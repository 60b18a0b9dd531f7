"""Captions, words and probabilities read from chat completions."""

import contextlib
import json
import math
import time
from typing import Any

import pytest

from inference.captioning.caption import Alternative
from inference.endpoints.answer import (
    MAX_LENGTH,
    MAX_WORDS,
    Answer,
    UnusableAnswer,
    read_answer,
    read_caption,
    words_of,
)
from inference.endpoints.client import MAX_ANSWER_BYTES


def completion(content: object, logprobs: object = None, **message: object) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}}
    return json.dumps({"choices": [{**choice, "logprobs": logprobs}]}).encode()


def token(text: str, prob: float, *others: tuple[str, float], **fields: object) -> dict[str, Any]:
    top = [{"token": each, "logprob": math.log(p)} for each, p in ((text, prob), *others)]
    return {"token": text, "logprob": math.log(prob), "top_logprobs": top, **fields}


def caption(text: str) -> str:
    return read_caption(Answer(text, ()))[0]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("A dog runs.", "A dog runs"),
        ("  a dog\nruns across  the grass \n", "A dog runs across the grass"),
        ('"A dog runs, happily."', "A dog runs, happily"),
        ("**Caption:** A *black* dog_house.", "A black dog_house"),
        ("## A dog\n\nIt runs.", "A dog"),
        ("A dog runs. It is happy! Very.", "A dog runs"),
        ("Sure! Here is a caption:\n\n- “A dog's ball”", "A dog's ball"),
        ("The image shows a T-shirt.", "The image shows a T-shirt"),
        ("Dr. Who and Mr. B. stand on St. Mark's. Rain.", "Dr. Who and Mr. B. stand on St. Mark's"),
        ("A 3.5 m pole vs. a wall.", "A 3.5 m pole vs. a wall"),
        ("<think>Is it a dog? Yes.</think>\n\nA dog.", "A dog"),
        ("Is it? Yes.</think>A dog.", "A dog"),
        ("A dog.<|im_end|></s>", "A dog"),
        ("一只狗在跑。它很高兴。", "一只狗在跑"),
        ("Un café à Paris.", "Un café à Paris"),
        ("1. A dog\n\n2. A cat", "A dog"),
        ("[A dog](https://example.com/x) runs", "A dog runs"),
        ("Dog", "Dog"),
        ("A dog\x1b\x07 \u202eruns\u202c\0\x9b", "A dog runs"),
        ("A dog \ud83d\ude00 runs", "A dog \ud83d\ude00 runs"),
    ],
)
def test_a_caption_is_the_first_sentence_without_decoration(answer: str, expected: str) -> None:
    text = answer.encode("utf-16", "surrogatepass").decode("utf-16")
    assert caption(text) == expected.encode("utf-16", "surrogatepass").decode("utf-16")


def test_a_long_caption_is_cut_after_a_word() -> None:
    text, words = read_caption(Answer("puppies " * 1000, ()))

    assert MAX_LENGTH - 8 <= len(text) <= MAX_LENGTH
    assert text == "Puppies" + " puppies" * (len(words) - 1)
    assert len(caption("d" * 5000)) <= MAX_LENGTH
    assert caption("a " * 1000) == "A" + " a" * (MAX_WORDS - 1)


def test_words_keep_their_case_and_possessives_are_words() -> None:
    text, words = read_caption(Answer("The dog's T-shirt, in New York.", ()))

    assert [word.text for word in words] == ["The", "dog", "'s", "T-shirt", "in", "New", "York"]
    assert [word.text for word in words] == words_of(text)
    assert {word.prob for word in words} == {None}


@pytest.mark.parametrize("answer", ["...", "**", "<think>A dog that", "🐶"])
def test_an_answer_without_words_is_unusable(answer: str) -> None:
    with pytest.raises(UnusableAnswer, match="no words"):
        read_caption(Answer(answer, ()))


@pytest.mark.parametrize("repeated", [".", "_", "](", ". ", "Sure! "])
def test_the_time_to_read_an_answer_does_not_explode_with_its_length(repeated: str) -> None:
    begun = time.process_time()

    with contextlib.suppress(UnusableAnswer):
        caption(f"a{repeated * (MAX_ANSWER_BYTES // len(repeated))}a dog")

    # Unbounded, it takes an hour.
    assert time.process_time() - begun < 10


def test_probabilities_of_tokens_multiply_to_those_of_words() -> None:
    # "skateboarder" in two tokens, "é" in two tokens of one byte each.
    cafe = "café".encode()
    tokens = [
        token('"', 0.9),
        token("A", 0.5, ("The", 0.25), ("Two", 0.125)),
        token(" skate", 0.8),
        token("boarder", 0.5),
        token(" caf", 0.5, (" bar", 0.25)),
        token("\ufffd", 0.5, bytes=[cafe[3]]),
        token("\ufffd", 0.8, bytes=[cafe[4]]),
        token(
            " dog", 0.5, (" cat", 0.25), ("gy", 0.1), (" dog", 0.05), (" 3", 0.04), (" pup", 0.03)
        ),
        token('."', 0.25),
    ]
    body = completion('"A skateboarder café dog."', {"content": tokens})

    text, words = read_caption(read_answer(body))

    assert text == "A skateboarder café dog"
    assert {word.text: word.prob for word in words} == {
        "A": 0.5,
        "skateboarder": pytest.approx(0.4),
        "café": pytest.approx(0.2),
        "dog": 0.5,
    }
    assert words[0].alternatives == (Alternative("The", 0.25), Alternative("Two", 0.125))
    assert words[1].alternatives == words[2].alternatives == ()
    assert words[3].alternatives == (Alternative("cat", 0.25), Alternative("pup", 0.03))


def test_reasoning_in_front_of_the_caption_shifts_no_probability() -> None:
    parts = [
        ("<think>", 0.1),
        ("dog?", 0.1),
        ("</think>", 0.1),
        ("\n", 0.1),
        ("A", 0.5),
        (" dog", 0.25),
    ]
    tokens = [token(*part) for part in parts] + [token("<|end|>", 0.1)]
    body = completion("<think>dog?</think>\nA dog", {"content": tokens})

    _, words = read_caption(read_answer(body))

    assert [word.prob for word in words] == [0.5, 0.25]


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        [],
        {"content": None},
        {"content": [{"token": "A dog"}]},
        {"content": [{"token": "A dog", "logprob": "x"}]},
        {"content": [{"token": "A dog", "logprob": math.nan}]},
        {"content": [{"token": "A dog", "logprob": -1, "bytes": [300]}]},
        {"content": [{"token": "A dog", "logprob": -1, "bytes": 5}]},
        {"content": [{"token": "A cat", "logprob": -1}]},
        {"content": [7]},
    ],
)
def test_without_usable_log_probabilities_words_have_none(logprobs: object) -> None:
    _, words = read_caption(read_answer(completion("A dog", logprobs)))

    assert [word.prob for word in words] == [None, None]


def test_a_probability_is_never_above_one_and_survives_minus_infinity() -> None:
    tokens = [{"token": "A", "logprob": 0.3}, {"token": " dog", "logprob": -math.inf}]

    _, words = read_caption(read_answer(completion("A dog", {"content": tokens})))

    assert [word.prob for word in words] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"7", "no chat completion"),
        (b"{}", "no chat completion"),
        (b'{"choices": []}', "no chat completion"),
        (b'{"choices": [7]}', "no chat completion"),
        (b'{"error": {"message": "out of memory"}}', "has an error: out of memory"),
        (b'{"error": "model not loaded"}', "has an error: model not loaded"),
        (completion(None), "is empty"),
        (completion(" \n"), "is empty"),
        (completion(7), "is empty"),
        (completion(None, refusal="I cannot describe people."), "refuses: I cannot"),
    ],
)
def test_nonsense_is_unusable_for_a_plain_reason(body: bytes, reason: str) -> None:
    with pytest.raises(UnusableAnswer, match=reason):
        read_answer(body)


def test_an_empty_answer_that_reached_its_limit_has_a_hint() -> None:
    body = b'{"choices": [{"finish_reason": "length", "message": {"content": ""}}]}'

    with pytest.raises(UnusableAnswer, match="raise max_tokens"):
        read_answer(body)


def test_content_may_be_a_list_of_parts_and_contain_lone_surrogates() -> None:
    body = completion([{"type": "text", "text": "A dog "}, {"type": "text", "text": "runs \ud800"}])

    assert read_answer(body).text == "A dog runs ?"
