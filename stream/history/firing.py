"""Firings of rules: when a rule found what it looks for on a feed, and until when."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

from stream.history.span import storable

MAX_FIRINGS = 100_000
"""Firings that are kept; beyond that the oldest are deleted."""

FIRING_COLUMNS = "rule, feed, began, ended, message, caption, words"
"""Columns of the table `firings` that make up a firing."""


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule that fired on a feed; it contains no image."""

    rule: str
    feed: str
    began: float
    """When the rule fired, in seconds since the Unix epoch, rounded to milliseconds."""
    ended: float | None
    """When it ended, on the same clock; None while it lasts."""
    message: str
    """The rule's message template, filled in."""
    caption: str
    """The caption that it fired on, as `display_text`."""
    words: tuple[str, ...]
    """The words of the rule that were found."""

    @property
    def id(self) -> str:
        """Id that is the same whichever server finds the firing."""
        return f"{self.rule}-{self.feed}-{round(1e3 * self.began)}"

    @classmethod
    def from_row(cls, row: tuple[Any, ...]) -> Self:
        """Create a firing from the values of `FIRING_COLUMNS`."""
        values = dict(zip(FIRING_COLUMNS.split(", "), row, strict=True))
        words = values.pop("words")
        return cls(**values, words=tuple(words.split("\n")) if words else ())

    def to_row(self) -> tuple[Any, ...]:
        """Return the values of `FIRING_COLUMNS`."""
        texts = (storable(self.message), storable(self.caption), storable("\n".join(self.words)))
        return (self.rule, self.feed, self.began, self.ended, *texts)

    def to_json(self) -> dict[str, Any]:
        """Return the firing as JSON values; times in seconds since the Unix epoch."""
        return {
            "rule": self.rule,
            "feed": self.feed,
            "state": "off" if self.ended is not None else "on",
            "began": self.began,
            "ended": self.ended,
            "message": self.message,
            "caption": self.caption,
            "words": list(self.words),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what `to_json` returned; raises `KeyError` or `TypeError` for anything else."""
        fields = {name: values[name] for name in cls.__slots__ if name != "words"}
        return cls(**fields, words=tuple(values["words"]))

    def at_end(self, ended: float) -> "Firing":
        """Return the firing with its end."""
        return replace(self, ended=ended)


class RecordedFiring(NamedTuple):
    """A firing as the history has it."""

    number: int
    """Grows with each firing that is stored."""
    firing: Firing
    picture: int | None
    """Id of the span whose picture shows what the rule fired on; None without a picture."""

    def to_json(self, path: str = "") -> dict[str, Any]:
        """Return the firing as JSON values, with the link to its picture.

        Args:
            path: Path of the history, of which the link is made; empty for no link.
        """
        has_link = path and self.picture is not None
        link = f"{path}/{self.picture}/picture" if has_link else None
        return {**self.firing.to_json(), "picture": link}


@dataclass(frozen=True, slots=True)
class FiringQuery:
    """Criteria for firings; None for any."""

    rule: str | None = None
    feed: str | None = None
    begin: float | None = None
    """Firings that began at this time or later; in seconds since the Unix epoch."""
    end: float | None = None
    """Firings that began before this time."""

    def sql(self) -> tuple[str, list[Any]]:
        """Return an SQL condition with `?` for each parameter, and the parameters."""
        terms, values = ["true"], list[Any]()
        for name, comparison, value in (
            ("rule", "=", self.rule),
            ("feed", "=", self.feed),
            ("began", ">=", self.begin),
            ("began", "<", self.end),
        ):
            if value is not None:
                terms.append(f"{name} {comparison} ?")
                values.append(value)
        return " AND ".join(terms), values
