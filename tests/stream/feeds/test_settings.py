"""What a feed may be, and that its source stays secret."""

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


def test_a_source_may_be_in_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "door"
    settings = FeedSettings(source_file=path)
    with pytest.raises(SourceError, match=f"{path} cannot be read: No such file"):
        settings.read_source()
    path.write_text("\n")
    with pytest.raises(SourceError, match="is empty: write the source into its first line"):
        settings.read_source()
    path.write_text(f"{SOURCE}\n")
    assert settings.read_source() == SOURCE


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "either a source or a source_file"),
        ({"source": "demo", "source_file": "/run/door"}, "either a source or a source_file"),
        ({"source": "rtps://anna:secret42@camera/live"}, "no source speaks rtps://"),
        ({"source": "rtsp://anna:secret42/x@camera/live"}, "is malformed"),
        ({"source": SOURCE, "interval_s": 0}, "greater than or equal to 0.25"),
        ({"source": SOURCE, "run": "sometimes"}, "'always' or 'watched'"),
        ({"sorce": SOURCE}, "either a source or a source_file|not permitted"),
    ],
)
def test_a_wrong_setting_is_refused_without_telling_the_source(
    wrong: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValidationError, match=says) as refusal:
        FeedSettings.model_validate(wrong)
    assert "secret42" not in str(refusal.value)


@pytest.mark.parametrize("name", ["Door", "a b", "", "-door", "a" * 41, "../door"])
def test_a_name_that_cannot_stand_in_an_address_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="is no name: use 1 to 40"):
        TypeAdapter(FeedName).validate_python(name)
