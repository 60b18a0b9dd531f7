"""Answers of the OpenAI chat completions API, and the caption that is read from one.

https://platform.openai.com/docs/api-reference/chat/object describes the answers. Models add
Markdown, quotation marks, reasoning, and sentences that nobody asked for; what is no part of the
first sentence is replaced by spaces, so that positions in the text still match its tokens.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from inference.captioning import Word
from inference.captioning.caption import Alternative

MAX_LENGTH = 300
"""Characters of a caption; a longer one is cut off after a word."""

MAX_WORDS = 60
"""Words of a caption, likewise."""

_MAX_TEXT = 4000
"""Characters of an answer that are read, after the model's reasoning. The patterns below take time
that grows with the square of the length for some texts, such as thousands of full stops."""

_MAX_ALTERNATIVES = 3
_MIN_LOG_PROB = -100.0
"""Servers report -9999 or minus infinity for what they consider impossible."""

_REASONING = (r"<think>.*?(?:</think>|\Z)", r"^.*</think>")

_NO_CAPTION = (
    r"[\0-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]",
    r"<\|[^|<>\n]{1,40}\|>|</?[a-zA-Z_]{1,40}>",
    r"\]\([^)\n]*\)",
    r"[*`#~|<>\[\]\"\u201c\u201d\u201e\u00ab\u00bb\ufffd]",
    r"(?<!\w)[_'\u2018\u2019]+|[_'\u2018\u2019]+(?!\w)",
    r"^\s*(?:[-\u2022]|\d+[.)])\s",
    r"^\s*(?:caption|description|answer)\s*:",
)
"""Control characters, which a terminal would obey, and those that reverse the direction of the text
after them; special tokens; link targets; Markdown and quotation marks; list markers; labels."""

_FLAGS = re.IGNORECASE | re.DOTALL
_SPACED_FIRST = [re.compile(each, _FLAGS) for each in _REASONING]
_SPACED = [re.compile(each, _FLAGS) for each in _NO_CAPTION]

_SENTENCE_END = re.compile(
    r"(?<!\s[A-Za-z])(?<!\A[A-Za-z])(?<!\b(?:[Mm]r|[Mm]s|[Dd]r|[Ss]t|vs))(?<!\b[Mm]rs)(?<!\betc)"
    r"[.!?\u2026]+(?=\s+[^\sa-z]|\s*\Z)"
    r"|[\u3002\uff01\uff1f]|\n\s*\n"
)
"""Not after abbreviations and initials, nor before a lower-case letter."""

_PRELUDE = re.compile(r"sure|certainly|of course|absolutely|ok(ay)?|yes", re.IGNORECASE)

_WORD = re.compile(r"['\u2019]s\b|[^\W_]+(?:[-.'\u2019](?!s\b)[^\W_]+)*")
_WHOLE_WORD = re.compile(r"[^\W\d_]+(?:[-'\u2019][^\W\d_]+)*")


class UnusableAnswer(ValueError):
    """An answer without a caption; the message says why, for people."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token of an answer."""

    text: bytes
    """UTF-8; a character may be spread over several tokens."""
    log_prob: float
    """Given the request and the previous tokens; at most 0."""
    others: tuple[tuple[str, float], ...]
    """Other likely tokens in this place and their log-probabilities, the most probable first."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The text of an answer and its tokens."""

    text: str
    tokens: tuple[Token, ...]
    """Empty if the server gives no log-probabilities."""


def read_answer(body: bytes) -> Answer:
    """Read the first choice of a chat completion.

    Raises:
        UnusableAnswer: If it contains no text.
    """
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        raise UnusableAnswer("the endpoint's answer is not JSON") from None
    choice = _field(_field(values, "choices"), 0)
    message = _field(choice, "message")
    if not isinstance(message, dict):
        about = error_message(values)
        reason = f"has an error: {about}" if about else "is no chat completion; check base_url"
        raise UnusableAnswer(f"the endpoint's answer {reason}")
    text = _text(message.get("content"))
    if not text.strip():
        if isinstance(message.get("refusal"), str):
            raise UnusableAnswer(f"the model refuses: {message['refusal']}")
        hint = "; raise max_tokens" if _field(choice, "finish_reason") == "length" else ""
        raise UnusableAnswer(f"the model's answer is empty{hint}")
    return Answer(text, _tokens(_field(_field(choice, "logprobs"), "content")))


def error_message(values: object) -> str:
    """Return the message of an error in JSON, in one of the forms in use; empty if there is none.

    OpenAI's is `{"error": {"message"}}`, Ollama's `{"error"}`, FastAPI's `{"detail"}`.
    """
    found = values
    for name in ("error", "message"):
        found = _field(found, name) or found
    if found is values or not isinstance(found, str):
        found = _field(found, "detail") or _field(values, "detail")
        found = _field(_field(found, 0), "msg") or found
    return _clean(found) if isinstance(found, str) else ""


def error_details(values: object) -> str:
    """Return what an error states besides its message, if it does: codes and the rejected field.

    OpenAI's `type`, `code` and `param`, Azure's code of an inner error, FastAPI's `loc`.
    """
    found = _field(values, "error")
    inner = _field(_field(found, "innererror"), "code")
    place = _field(_field(_field(values, "detail"), 0), "loc")
    parts = [_field(found, "type"), _field(found, "code"), _field(found, "param"), inner]
    parts += place if isinstance(place, list) else []
    return " ".join(part for part in parts if isinstance(part, str))


def read_caption(answer: Answer) -> tuple[str, tuple[Word, ...]]:
    """Return the first sentence of an answer as a caption, and its words.

    Words keep the case that the model gave them. The probability of a word is the product of those
    of its tokens, and None without tokens. A word of one token has the other tokens that are words
    as alternatives.

    Raises:
        UnusableAnswer: If there is no word in it.
    """
    text = _space(answer.text, _SPACED_FIRST)
    begun = len(text) - len(text.lstrip())
    text = _space(text[: begun + _MAX_TEXT], _SPACED)
    start, end = _first_sentence(text)
    places = [found.span() for found in _WORD.finditer(text, start, end)]
    if not places:
        hint = "; raise max_tokens" if "<think>" in answer.text else ""
        raise UnusableAnswer(f"the model's answer contains no words{hint}")
    spans = _byte_spans(answer.text, places)
    tokens = _aligned(answer)
    words = tuple(
        _word(text[begin:stop], tuple(_overlapping(tokens, *span)) if tokens else ())
        for (begin, stop), span in zip(places, spans, strict=True)
    )
    return _sentence(text[places[0][0] : end]), words


def words_of(caption: str) -> list[str]:
    """Return the words of a caption that `read_caption` returned."""
    return _WORD.findall(caption)


def _space(text: str, patterns: Sequence[re.Pattern[str]]) -> str:
    """Replace what matches by spaces; line breaks are kept."""
    for pattern in patterns:
        text = pattern.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    return text


def _field(values: object, key: str | int) -> Any:
    """Return a member of a JSON object or array; None if there is none."""
    if isinstance(values, dict):
        return values.get(key)
    if isinstance(values, list) and isinstance(key, int) and values:
        return values[key]
    return None


def _text(content: object) -> str:
    """Return the text of a message: a string, or a list of parts."""
    if isinstance(content, list):
        content = "".join(_text(_field(part, "text")) for part in content)
    return _clean(content) if isinstance(content, str) else ""


def _clean(text: str) -> str:
    """Replace lone surrogates, which JSON can contain and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _tokens(content: object) -> tuple[Token, ...]:
    """Read the tokens and their log-probabilities; none if any of them makes no sense."""
    try:
        return tuple(map(_token, content)) if isinstance(content, list) else ()
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return ()


def _token(values: dict[str, Any]) -> Token:
    others, content = values.get("top_logprobs") or (), values.get("bytes")
    if not isinstance(content, list | None):
        # Of a number, `bytes` would make so many.
        raise TypeError("the bytes of a token are no array")
    return Token(
        bytes(content) if content else _clean(values["token"]).encode(),
        _log_prob(values),
        tuple((_clean(each["token"]), _log_prob(each)) for each in others),
    )


def _log_prob(values: dict[str, Any]) -> float:
    log_prob = float(values["logprob"])
    if math.isnan(log_prob):
        raise ValueError("a log-probability is not a number")
    return min(0.0, max(_MIN_LOG_PROB, log_prob))


def _first_sentence(text: str) -> tuple[int, int]:
    """Return the start and the end of the first sentence.

    "Sure!" and "Here is a caption:" are no sentences, if another one follows.
    """
    start = 0
    while True:
        found = _SENTENCE_END.search(text, start)
        end = found.start() if found else len(text)
        rest = found.end() if found else len(text)
        words = list(_WORD.finditer(text, start, end))
        sentence = text[start:end].strip()
        is_prelude = not words or sentence.endswith(":") or _PRELUDE.fullmatch(sentence)
        if not (is_prelude and _WORD.search(text, rest)):
            break
        start = rest
    if words:
        last = words[0].start() + MAX_LENGTH
        fitting = [each.end() for each in words[:MAX_WORDS] if each.end() <= last]
        if len(fitting) < len(words):
            end = fitting[-1] if fitting else last
    return start, end


def _sentence(text: str) -> str:
    """Return a sentence in one line, capitalised and without a full stop."""
    line = re.sub(r"\s+([,;:.!?])", r"\1", " ".join(text.split())).rstrip(" ,;:.-")
    return line[:1].upper() + line[1:]


def _byte_spans(text: str, places: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Convert positions of characters to positions of bytes in UTF-8."""
    for start, end in places:
        first = len(text[:start].encode())
        yield first, first + len(text[start:end].encode())


def _aligned(answer: Answer) -> list[tuple[int, int, Token]]:
    """Return the tokens with their start and end in the text's UTF-8.

    Empty if they are not the tokens of the text: some servers change it afterwards.
    """
    content = answer.text.encode()
    joined = b"".join(token.text for token in answer.tokens)
    offset = joined.find(content)
    if not answer.tokens or offset < 0:
        return []
    aligned, at = [], -offset
    for token in answer.tokens:
        aligned.append((at, at + len(token.text), token))
        at += len(token.text)
    return aligned


def _overlapping(tokens: Sequence[tuple[int, int, Token]], start: int, end: int) -> Iterator[Token]:
    return (token for first, last, token in tokens if first < end and last > start)


def _word(text: str, tokens: Sequence[Token]) -> Word:
    if not tokens:
        return Word(text, None, ())
    prob = math.exp(sum(token.log_prob for token in tokens))
    alternatives = tuple(_alternatives(text, tokens[0])) if len(tokens) == 1 else ()
    return Word(text, round(prob, 4), alternatives[:_MAX_ALTERNATIVES])


def _alternatives(word: str, token: Token) -> Iterator[Alternative]:
    """Yield the other tokens in the place of a word's only token, as far as they are words."""
    whole = token.text.decode("utf-8", "replace")
    if whole.strip() != word:
        return
    seen = {word.casefold()}
    for text, log_prob in token.others:
        # A token without the space in front would continue the previous word.
        same_start = text[:1].isspace() == whole[:1].isspace()
        other = text.strip()
        if same_start and _WHOLE_WORD.fullmatch(other) and other.casefold() not in seen:
            seen.add(other.casefold())
            yield Alternative(other, round(math.exp(log_prob), 4))
