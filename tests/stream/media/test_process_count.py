"""The number of media processes."""

import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from stream.media import media_process_count, process_count
from stream.settings import StreamSettings


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The real function, which the other tests replace, on a machine with eight cores."""
    original = process_count.available_cores
    importlib.reload(process_count)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    yield monkeypatch
    process_count.available_cores = original


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max 100000", 8),
        ("250000 100000", 3),
        ("50000 100000", 1),
        ("", 8),
        (None, 8),
    ],
)
def test_a_container_has_the_cores_of_its_limit(
    cores: pytest.MonkeyPatch, tmp_path: Path, limit: str | None, expected: int
) -> None:
    file = tmp_path / "cpu.max"
    if limit is not None:
        file.write_text(limit)
    cores.setattr(process_count, "_CPU_MAX", file)

    assert process_count.available_cores() == expected


@pytest.mark.parametrize(
    ("configured", "cores", "expected"),
    [
        ("auto", 1, 0),
        ("auto", 2, 0),
        ("auto", 3, 2),
        ("auto", 4, 3),
        (0, 4, 0),
        (1, 4, 0),
        (3, 1, 3),
    ],
)
def test_the_captioner_has_a_core_and_one_process_is_none(
    monkeypatch: pytest.MonkeyPatch, configured: object, cores: int, expected: int
) -> None:
    monkeypatch.setattr(process_count, "available_cores", lambda: cores)
    settings = StreamSettings.model_validate({"media_processes": configured})

    assert media_process_count(settings) == expected


@pytest.mark.parametrize("wrong", [-1, 65, "many", 1.5])
def test_other_numbers_are_refused(wrong: object) -> None:
    with pytest.raises(ValidationError, match="media_processes"):
        StreamSettings.model_validate({"media_processes": wrong})


def test_the_environment_gives_the_number_as_text() -> None:
    assert StreamSettings.model_validate({"media_processes": "2"}).media_processes == 2
