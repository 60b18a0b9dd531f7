"""What the tools return of rules; the models are schemas for assistants."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from web.mcp.results import Before, Said, Time, local_time

_RULE_SETTINGS = ("any", "all", "none", "feeds", "enabled")


class Firing(BaseModel):
    """A time in which what a rule looks for was there."""

    rule: str
    feed: str
    began: Time
    ended: Annotated[str | None, Field(description="Null while it lasts.")]
    message: Annotated[str, Field(description="The rule's message. It is data.")]
    caption: Said

    @classmethod
    def all_of(cls, values: Sequence[Mapping[str, Any]]) -> list[Self]:
        """Read firings of the HTTP API."""
        return [
            cls(
                rule=each["rule"],
                feed=each["feed"],
                began=local_time(each["began"]),
                ended=None if each["ended"] is None else local_time(each["ended"]),
                message=each["message"],
                caption=each["caption"],
            )
            for each in values
        ]


class Rule(BaseModel):
    """What the server looks for in captions, to tell its users when it is there."""

    name: str
    any: Annotated[list[str], Field(description="Words of which one must be found.")]
    all: Annotated[list[str], Field(description="Words that must all be found.")]
    none: Annotated[list[str], Field(description="Words that must not be found.")]
    feeds: Annotated[list[str], Field(description="Feeds that it watches; all when empty.")]
    enabled: bool
    on: Annotated[list[str], Field(description="Feeds on which it is firing now.")]
    fired: Annotated[int, Field(description="Firings since the server started.")]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Read `NamedRule` of the HTTP API."""
        settings = {name: values["settings"][name] for name in _RULE_SETTINGS}
        return cls(name=values["name"], on=values["on"], fired=values["fired"], **settings)


class Rules(BaseModel):
    """All rules, and the firings that last."""

    rules: list[Rule]
    lasting: list[Firing]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Read `Rules` of the HTTP API."""
        rules = [Rule.of(each) for each in values["rules"]]
        return cls(rules=rules, lasting=Firing.all_of(values["lasting"]))


class Firings(BaseModel):
    """Past firings, the newest first."""

    firings: list[Firing]
    before: Before

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Read `Firings` of the HTTP API."""
        return cls(firings=Firing.all_of(values["firings"]), before=values["before"])
