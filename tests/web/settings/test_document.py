"""SETTINGS.md lists every setting and no other."""

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from stream.feeds.settings import FeedSettings
from stream.rules import Rule
from web.settings.endpoints import EndpointSettings
from web.settings.server import ServerSettings

DOCUMENT = (Path(__file__).parents[3] / "web" / "SETTINGS.md").read_text(encoding="utf-8")


def tables() -> Iterator[tuple[str, type[BaseModel]]]:
    yield "", ServerSettings
    yield "feeds.NAME", FeedSettings
    yield "endpoints.NAME", EndpointSettings
    yield "rules.NAME", Rule
    for name, field in ServerSettings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield name, field.annotation


def documented() -> dict[str, set[str]]:
    """The names in the first column of each section's table."""
    sections = re.split(r"^## `\[(.+)\]`$", DOCUMENT, flags=re.M)
    named = dict(zip(["", *sections[1::2]], sections[::2], strict=True))
    return {
        name: {
            key
            for row in re.findall(r"^\| (`.*?) \|", text, re.M)
            for key in re.findall(r"`(\w+)`", row)
        }
        for name, text in named.items()
    }


def test_every_setting_is_documented() -> None:
    known = {
        name: {
            key
            for key in model.model_fields
            if name or key not in {"endpoints", "feeds", "rules", *dict(tables()).keys()}
        }
        for name, model in tables()
    }

    assert documented() == known
