"""Settings of feeds; the source must stay secret."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from stream.feeds.settings import FeedName, FeedSettings
from stream.sources import SourceError

SOURCE = "rtsp://anna:secret42@camera/live"


def test_a_source_is_read_but_never_shown() -> None:
    settings = FeedSettings.model_validate({"source": SOURCE})
    assert settings.read_source() == SOURCE
    assert "secret42" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_a_source_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "door"
    settings = FeedSettings(source_file=path)
    with pytest.raises(SourceError, match="source_file: there is no such file; write the path"):
        settings.read_source()
    path.write_text("\n")
    with pytest.raises(SourceError, match="is empty; write the source into its first line"):
        settings.read_source()
    path.write_bytes(SOURCE.encode("utf-16"))
    with pytest.raises(SourceError, match="source_file cannot be read: it is UTF-16"):
        settings.read_source()
    path.write_bytes(b"\xef\xbb\xbf" + SOURCE.encode() + b"\r\n# a comment\r\n")
    assert settings.read_source() == SOURCE


def test_a_source_in_place_of_its_file_is_not_repeated() -> None:
    with pytest.raises(SourceError, match="not the source itself") as refusal:
        FeedSettings.model_validate({"source_file": SOURCE}).read_source()
    assert "secret42" not in str(refusal.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "either source or source_file"),
        ({"source": "demo", "source_file": "/run/door"}, "either source or source_file"),
        ({"source": "rtps://anna:secret42@camera/live"}, "rtps:// are not supported"),
        ({"source": "rtsp:/anna:secret42@camera/live"}, "has a mistyped scheme"),
        ({"source": "rtsp//anna:secret42@camera/live"}, "has a mistyped scheme"),
        ({"source": "rtsp://anna:secret42/x@camera/live"}, "percent-encode special"),
        ({"source": "rtsp://anna:secret42 @camera/live"}, "contains a space"),
        ({"source": SOURCE, "interval_s": 0}, "greater than or equal to 0.25"),
        ({"source": SOURCE, "run": "sometimes"}, "'always' or 'watched'"),
        ({"sorce": SOURCE}, "either source or source_file|not permitted"),
    ],
)
def test_an_invalid_setting_is_refused_without_disclosing_the_source(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message) as refusal:
        FeedSettings.model_validate(settings)
    assert "secret42" not in str(refusal.value)


@pytest.mark.parametrize("name", ["Door", "a b", "", "-door", "a" * 41, "../door"])
def test_a_name_that_is_not_allowed_in_urls_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="is not a valid name; use 1 to 40"):
        TypeAdapter(FeedName).validate_python(name)
