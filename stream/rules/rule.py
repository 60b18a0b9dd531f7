"""Rules: what to look for on which feeds, when, and what to say then."""

import string
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from stream.feeds import FeedName
from stream.history import words_of
from stream.rules.schedule import Day, Schedule
from stream.settings import validate_stream_name

MAX_RULES = 100

_MAX_MESSAGE = 1000
"""Characters of a message that is filled in."""

_DAY_S = 86_400.0

MESSAGE_FIELDS = ("rule", "feed", "caption", "words", "time")
"""The names that a message template may contain in braces."""

RuleName = Annotated[str, AfterValidator(validate_stream_name)]
"""Name of a rule: it is a part of URLs and MQTT topics."""

Target = Literal["webhook", "mqtt", "apprise"]
Place = Literal["caption", "objects", "both"]


def _validate_term(term: str) -> str:
    if not term.isprintable() or not words_of(term):
        raise ValueError("write words with letters or digits, such as 'dog' or 'red car'")
    return term.strip()


Term = Annotated[str, Field(max_length=60), AfterValidator(_validate_term)]


def first_problem(error: ValidationError) -> str:
    """Return the first error of settings: which one is wrong, and why; never its value."""
    first = error.errors(include_url=False, include_input=False)[0]
    reason = first["msg"].removeprefix("Value error, ")
    name = ".".join(map(str, first["loc"]))
    return f"setting {name!r}: {reason}" if name else reason


class Rule(BaseModel):
    """Settings of a rule: a table `[rules.NAME]` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    """Whether the rule is in use."""
    feeds: tuple[FeedName, ...] = Field((), max_length=100)
    """Feeds to watch; all when empty."""
    any: tuple[Term, ...] = Field((), max_length=32)
    """Words or phrases of which one must be found; inflections count."""
    all: tuple[Term, ...] = Field((), max_length=32)
    """Words or phrases that must all be found."""
    none: tuple[Term, ...] = Field((), max_length=32)
    """Words or phrases that must not be found. Alone, they make a rule for absence."""
    look_in: Place = "both"
    """Where to look: in the caption, in the objects beside it, or in both."""
    confidence: float = Field(0, ge=0, le=1)
    """Least confidence with which a word counts: that of the caption, or of the object. Without a
    known confidence it counts only if this is 0."""
    present_s: float = Field(2, ge=0, le=_DAY_S)
    """Seconds for which the condition must hold before the rule fires."""
    absent_s: float = Field(10, ge=0, le=_DAY_S)
    """Seconds for which it must not hold before the firing ends."""
    cool_down_s: float = Field(60, ge=0, le=30 * _DAY_S)
    """Seconds after a firing in which the rule does not fire again on the same feed."""
    hours: str = Field("", max_length=20)
    """Hours of the day in the server's local time, such as `22:00-06:00`; the whole day when
    empty."""
    days: tuple[Day, ...] = Field((), max_length=7)
    """Days of the week on which the hours begin; all when empty."""
    message: str = Field("{caption}", min_length=1, max_length=500)
    """What to say, with the fields {rule}, {feed}, {caption}, {words} and {time}."""
    targets: tuple[Target, ...] = Field(("webhook", "mqtt", "apprise"), max_length=3)
    """Which of the configured sinks get the firings."""

    @property
    def schedule(self) -> Schedule:
        """When the rule applies."""
        return Schedule.parse(self.hours, self.days)

    def watches(self, feed: str) -> bool:
        """Return whether the rule is in use for a feed."""
        return self.enabled and (not self.feeds or feed in self.feeds)

    def message_of(self, values: Mapping[str, str]) -> str:
        """Fill in the message template.

        Args:
            values: A text for each of `MESSAGE_FIELDS`.
        """
        parts = string.Formatter().parse(self.message)
        text = "".join(literal + (values[name] if name else "") for literal, name, _, _ in parts)
        return text[:_MAX_MESSAGE]

    @field_validator("hours")
    @classmethod
    def _check_hours(cls, hours: str) -> str:
        Schedule.parse(hours, ())
        return hours

    @field_validator("message")
    @classmethod
    def _check_message(cls, message: str) -> str:
        names = ", ".join(f"{{{name}}}" for name in MESSAGE_FIELDS)
        try:
            parts = list(string.Formatter().parse(message))
        except ValueError:
            raise ValueError(
                f"write braces only around fields: {names}; and {{{{ for a brace"
            ) from None
        for _, name, form, conversion in parts:
            if name is not None and (name not in MESSAGE_FIELDS or form or conversion):
                raise ValueError(f"there is no field {{{name[:40]}}} of this form; fields: {names}")
        return message

    @model_validator(mode="after")
    def _check_condition(self) -> Self:
        if not (self.any or self.all or self.none):
            raise ValueError("set any, all or none to the words to look for")
        return self
